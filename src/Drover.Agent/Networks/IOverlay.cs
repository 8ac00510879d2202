using Drover.Contracts.Agent;
using Drover.Core;

namespace Drover.Agent.Networks;

/// <summary>The data path of overlays on this node. Every verb may be repeated.</summary>
public interface IOverlay
{
    /// <summary>Makes devices, peers and forwarding entries of one network as asked: adds what lacks, removes what is too much.</summary>
    Task Apply(DesiredNetwork network, CancellationToken cancel);

    Task Remove(NetworkName network, CancellationToken cancel);

    /// <summary>Makes a pair of interfaces, one end on the overlay; returns the other end's name, for the engine to move into the container.</summary>
    Task<string> Attach(NetworkName network, string endpointId, string address, string mac, CancellationToken cancel);

    Task Detach(NetworkName network, string endpointId, CancellationToken cancel);

    /// <summary>Tells everyone on the overlay where this address answers now (gratuitous ARP, RFC 5227 §3), and replaces stale neighbour entries.</summary>
    Task Announce(NetworkName network, string address, string mac, CancellationToken cancel);

    Task<IReadOnlyList<NetworkName>> List(CancellationToken cancel);
}
