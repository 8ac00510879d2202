using Drover.Core;

namespace Drover.Agent.Containers;

/// <summary>Makes an overlay known to the container engine, so that containers can join it.</summary>
public interface IContainerNetworks
{
    /// <summary>The engine has a network of this name when it returns. Repeatable.</summary>
    /// <exception cref="InvalidOperationException">This node has not been told of the overlay; the message says what it waits for.</exception>
    Task Ensure(NetworkName network, CancellationToken cancel);
}

/// <summary>For a node without overlays: a container that asks for one is refused with the reason.</summary>
public sealed class NoContainerNetworks : IContainerNetworks
{
    public Task Ensure(NetworkName network, CancellationToken cancel) =>
        throw new InvalidOperationException($"overlay '{network}' is not available on this node: its agent runs without the network plugin");
}
