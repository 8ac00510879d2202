using System.Collections.Immutable;
using Drover.Agent.Networks;
using Drover.Agent.Networks.Vxlan;
using Drover.Contracts.Agent;
using Drover.Core;

namespace Drover.Testing.Networks;

/// <summary>Nodes joined by a fabric, without a kernel: keeps the laws of <see cref="IOverlay"/>, tells who reaches whom.</summary>
public sealed class FakeFabric
{
    private readonly Dictionary<string, Node> _nodes = [];

    public sealed record Attachment(NetworkName Network, string EndpointId, string Address, string Mac);

    internal sealed class Node
    {
        public Dictionary<NetworkName, DesiredNetwork> Networks { get; } = [];
        public Dictionary<string, Attachment> Attached { get; } = [];
    }

    /// <summary>As after a restart: what the node's devices are stays.</summary>
    public FakeOverlay Overlay(string node, string address)
    {
        if (!_nodes.TryGetValue(address, out var state)) _nodes[address] = state = new();
        return new FakeOverlay(state, node);
    }

    /// <summary>Does a frame get there, and the answer back?</summary>
    public bool Reaches(string fromNode, string fromLink, string address)
    {
        var from = _nodes[fromNode].Attached.GetValueOrDefault(fromLink);
        return from is not null && Deliver(fromNode, from.Network, address) is { } at && Deliver(at, from.Network, from.Address) == fromNode;
    }

    private string? Deliver(string node, NetworkName network, string address)
    {
        bool Has(string at) => _nodes[at].Networks.ContainsKey(network) && _nodes[at].Attached.Values.Any(a => a.Network == network && a.Address == address);
        if (Has(node)) return node;
        if (!_nodes[node].Networks.TryGetValue(network, out var known)) return null;
        // A known entry is used alone; without one the frame goes to every peer.
        if (known.Entries.FirstOrDefault(entry => entry.Address == address && entry.NodeAddress != node) is { } entry) return Has(entry.NodeAddress) ? entry.NodeAddress : null;
        return known.Peers.Select(peer => peer.Address).FirstOrDefault(peer => peer != node && _nodes.ContainsKey(peer) && Has(peer));
    }
}

/// <summary>One node's overlay on a <see cref="FakeFabric"/>.</summary>
public sealed class FakeOverlay : IOverlay
{
    private readonly FakeFabric.Node _node;
    private readonly string _name;

    internal FakeOverlay(FakeFabric.Node node, string name) => (_node, _name) = (node, name);

    /// <summary>Address and node, in order.</summary>
    public ImmutableList<string> Announced { get; private set; } = [];

    public Task Apply(DesiredNetwork network, CancellationToken cancel)
    {
        OverlayRules.Check(network);
        _node.Networks[new(network.Name)] = network.Clone();
        return Task.CompletedTask;
    }

    public Task Remove(NetworkName network, CancellationToken cancel)
    {
        _node.Networks.Remove(network);
        return Task.CompletedTask;
    }

    public Task<string> Attach(NetworkName network, string endpointId, string address, string mac, CancellationToken cancel)
    {
        OverlayRules.CheckEndpoint(address, mac);
        if (!_node.Networks.ContainsKey(network)) throw new InvalidOperationException($"network {network} is not set up on this node");
        var link = OverlayNames.ContainerEnd(endpointId);
        _node.Attached[link] = new(network, endpointId, address, mac);
        return Task.FromResult(link);
    }

    public Task Detach(NetworkName network, string endpointId, CancellationToken cancel)
    {
        _node.Attached.Remove(OverlayNames.ContainerEnd(endpointId));
        return Task.CompletedTask;
    }

    public Task Announce(NetworkName network, string address, string mac, CancellationToken cancel)
    {
        if (!_node.Networks.ContainsKey(network)) throw new InvalidOperationException($"network {network} is not set up on this node");
        Announced = Announced.Add($"{address} at {_name}");
        return Task.CompletedTask;
    }

    public Task<IReadOnlyList<NetworkName>> List(CancellationToken cancel) => Task.FromResult<IReadOnlyList<NetworkName>>([.. _node.Networks.Keys.Order()]);
}

/// <summary>Names of interfaces that exist, and the frames that were sent on them.</summary>
public sealed class FakeLinks : ILinks
{
    public HashSet<string> Names { get; } = [];
    public List<(string Link, byte[] Frame)> Sent { get; } = [];

    public int IndexOf(string name) => Names.Contains(name) ? 1 + name.Length : 0;

    public void Send(string name, ReadOnlySpan<byte> frame) => Sent.Add((name, frame.ToArray()));
}
