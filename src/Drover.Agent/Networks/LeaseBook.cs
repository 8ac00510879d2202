using System.Collections.Concurrent;
using Drover.Contracts.Agent;
using Drover.Core;

namespace Drover.Agent.Networks;

/// <summary>The networks as the control plane last told them. Empty after a restart, until it has spoken.</summary>
public sealed class LeaseBook
{
    private readonly ConcurrentDictionary<NetworkName, DesiredNetwork> _networks = new();

    public void Note(DesiredNetwork network) => _networks[new(network.Name)] = network;

    public void Forget(NetworkName network) => _networks.TryRemove(network, out _);

    /// <summary>Null: not known to be leased.</summary>
    public OverlayEntry? EntryOf(NetworkName network, string address) =>
        _networks.TryGetValue(network, out var known) ? known.Entries.FirstOrDefault(entry => entry.Address == address) : null;

    public NetworkName? ByVni(int vni)
    {
        foreach (var (name, network) in _networks) if (network.Vni == vni) return name;
        return null;
    }
}
