using System.Globalization;
using Drover.Core.State;

namespace Drover.Core.Nodes;

/// <summary>What operators wish of one node, where nothing needs to be found out for it.</summary>
public static class NodeWishes
{
    public const long LeastLimit = 1024, MostLimit = 1_000_000_000_000;

    /// <param name="bytesPerSecond">Null: none.</param>
    public static Decision<DrainOutcome> Limit(ClusterState state, NodeId id, long? bytesPerSecond)
    {
        if (!state.Nodes.TryGetValue(id, out var node)) return new DrainOutcome.Unknown(id);
        if (bytesPerSecond is < LeastLimit or > MostLimit)
            return new DrainOutcome.Refused($"a limit is from {LeastLimit} to {MostLimit} bytes a second; it was {bytesPerSecond}", "give something like 50MB/s, or none");
        if (node.TransferLimit == bytesPerSecond) return new DrainOutcome.Taken(node);
        var next = node with { TransferLimit = bytesPerSecond };
        return Decision.Of<DrainOutcome>(new DrainOutcome.Taken(next), [new ClusterChange.PutNode(next)], new ClusterEvent("node.limited", id.Value,
            bytesPerSecond is { } most ? string.Create(CultureInfo.InvariantCulture, $"transfers out of {id} take {new ByteCount(most)} a second at most") : $"transfers out of {id} have no limit of the cluster's") { Node = id });
    }
}
