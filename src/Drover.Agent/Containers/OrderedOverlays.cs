using Drover.Agent.Networks;
using Drover.Agent.Reconcile;
using Drover.Core;

namespace Drover.Agent.Containers;

/// <summary>Overlays of the orders, as networks of the container engine. A container may be ordered together with its overlay: the overlay is made first, whoever comes first.</summary>
public sealed class OrderedOverlays(Orders orders, IOverlay overlay, IDockerNetworks docker) : IContainerNetworks
{
    public async Task Ensure(NetworkName network, CancellationToken cancel)
    {
        if (!orders.Current.Networks.TryGetValue(network, out var wanted))
            throw new InvalidOperationException($"overlay '{network}' is not known on this node yet: waiting for the control plane to tell of it");
        await overlay.Apply(wanted, cancel);
        await docker.Ensure(wanted, cancel);
    }
}
