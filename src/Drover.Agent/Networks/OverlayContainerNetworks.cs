using Drover.Agent.Containers;
using Drover.Core;

namespace Drover.Agent.Networks;

/// <summary>Has the engine know an overlay that the control plane has told this node of.</summary>
public sealed class OverlayContainerNetworks(LeaseBook leases, IDockerNetworks networks) : IContainerNetworks
{
    public async Task Ensure(NetworkName network, CancellationToken cancel) => await networks.Ensure(
        leases.Network(network) ?? throw new InvalidOperationException($"overlay {network} is not on this node yet: waiting for the control plane to send it"), cancel);
}
