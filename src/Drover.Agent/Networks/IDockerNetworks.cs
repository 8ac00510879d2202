using Drover.Contracts.Agent;
using Drover.Core;

namespace Drover.Agent.Networks;

/// <summary>The engine's own view of overlays: on every node a Docker network with the overlay's name, driver `drover`,
/// the same subnet and the option `vni`, so that containers can be connected to it by name with a fixed address.</summary>
public interface IDockerNetworks
{
    /// <summary>The engine has the network when this returns. May be repeated; a network as asked is left alone.</summary>
    /// <exception cref="InvalidOperationException">A network of this name exists that is not ours, or has another subnet and containers on it;
    /// nothing was changed, the message says what to do.</exception>
    Task Ensure(DesiredNetwork network, CancellationToken cancel);

    /// <summary>Forgets the network. Succeeds when it is not there.</summary>
    /// <exception cref="InvalidOperationException">Containers are still connected; nothing was changed.</exception>
    Task Remove(NetworkName network, CancellationToken cancel);
}
