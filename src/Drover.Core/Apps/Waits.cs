using System.Collections.Immutable;
using Drover.Core.Moves;
using Drover.Core.State;

namespace Drover.Core.Apps;

/// <summary>What a copy waits for.</summary>
public enum WaitKind
{
    /// <summary>A node fits; its offer has not come.</summary>
    Offer,
    /// <summary>No node has enough left.</summary>
    Resources,
    /// <summary>No node meets the app's constraints.</summary>
    Constraint,
    /// <summary>Its data is away, in use, on its way or being worked on.</summary>
    Data,
    /// <summary>Nodes that could take it, or the one it is on, are away or cordoned; or there is none.</summary>
    Node,
    /// <summary>The node's right to write.</summary>
    Lease,
    Pull,
    Backoff,
    /// <summary>A copy that must be gone first.</summary>
    Predecessor,
    /// <summary>A deployment that has to reach it first.</summary>
    Deployment,
    /// <summary>Its container to be made, started or stopped.</summary>
    Container,
    Health,
}

/// <summary>Why a node does not take a copy, in the order in which Marathon looks at an offer.</summary>
public enum NodeRefusal { Constraint, Data, Absent, Cordoned, Cpus, Memory, Disk, Gpus, Ports }

/// <summary>What one copy waits for.</summary>
/// <param name="Left">Until when it waits at least, where that is known.</param>
public sealed record Wait(WaitKind Kind, string Text, TimeSpan? Left);

/// <summary>Says of a copy what it waits for, from what is. Pure.</summary>
public static class Waits
{
    /// <param name="verdicts">Every node's, from <see cref="Placement.Rank"/>; empty where it has a node or they were not asked for.</param>
    /// <returns>null: it waits for nothing.</returns>
    public static Wait? Of(ClusterState state, Instance copy, IReadOnlyCollection<NodeVerdict> verdicts, DateTimeOffset now)
    {
        if (copy.Node is not null) return copy.WaitsFor is { } what ? new(OnNode(copy, what), what, null) : null;
        if (state.Apps.TryGetValue(copy.App, out var app) && LaunchBackoff.Holding(app, now) is { } delay) return new(WaitKind.Backoff, LaunchBackoff.Wait(app.Id, delay), delay.Until - now);
        if (Launching.Block(state, copy, now) is { } block) return new(block.Contains(" to be gone from ", StringComparison.Ordinal) ? WaitKind.Predecessor : WaitKind.Data, block, null);
        if (state.Nodes.IsEmpty) return new(WaitKind.Node, WaitReasons.Text([]), null);
        if (verdicts.Count == 0) return new(WaitKind.Offer, copy.WaitsFor ?? "an offer", null);
        if (verdicts.FirstOrDefault(v => v.Fits) is not { } fits) return new(Dominant(verdicts), WaitReasons.Text(verdicts), null);
        return !fits.HoldsVolume && app is not null && MoveRetry.HeldUntil(state, app, now) is { } held ? new(WaitKind.Data, held.Why, held.At - now) : new(WaitKind.Offer, $"an offer of {fits.Node}, which fits", null);
    }

    /// <summary>The kind by the sentence that the scheduler left, without asking the nodes again.</summary>
    public static WaitKind Stored(Instance copy)
    {
        if (copy.WaitsFor is not { } text) return WaitKind.Offer;
        if (copy.Node is not null) return OnNode(copy, text);
        if (text.StartsWith("its backoff", StringComparison.Ordinal)) return WaitKind.Backoff;
        if (text.Contains(" to be gone from ", StringComparison.Ordinal)) return WaitKind.Predecessor;
        if (text.StartsWith("a node: none", StringComparison.Ordinal)) return WaitKind.Node;
        if (!text.StartsWith(WaitReasons.Place, StringComparison.Ordinal)) return text.StartsWith("an offer", StringComparison.Ordinal) ? WaitKind.Offer : WaitKind.Data;
        // `a node that takes it. node1: needs 4 cpus, 3 left; node2: …`
        var first = text.IndexOf(": ", StringComparison.Ordinal);
        return first < 0 ? WaitKind.Node : WaitOf(KindOf(text[(first + 2)..]));
    }

    /// <summary>Of the words in which <see cref="Placement.Judge"/> refuses.</summary>
    public static NodeRefusal KindOf(string reason) => reason switch
    {
        _ when reason.StartsWith('[') => NodeRefusal.Constraint,
        _ when reason.Contains("agent is not connected", StringComparison.Ordinal) && !reason.Contains("the data of", StringComparison.Ordinal) || reason.StartsWith("there is no node", StringComparison.Ordinal) => NodeRefusal.Absent,
        _ when reason.StartsWith("it is cordoned", StringComparison.Ordinal) => NodeRefusal.Cordoned,
        _ when !reason.StartsWith("needs ", StringComparison.Ordinal) => NodeRefusal.Data,
        _ when reason.Contains(" cpus,", StringComparison.Ordinal) => NodeRefusal.Cpus,
        _ when reason.Contains(" MiB of memory,", StringComparison.Ordinal) => NodeRefusal.Memory,
        _ when reason.Contains(" MiB of disk,", StringComparison.Ordinal) => NodeRefusal.Disk,
        _ when reason.Contains(" gpus,", StringComparison.Ordinal) => NodeRefusal.Gpus,
        _ => NodeRefusal.Ports,
    };

    /// <summary>How far nodes got, refusal by refusal: each counts at the first thing it lacks. Nodes whose agent is away make no offer and are not among them.</summary>
    public static ImmutableArray<(NodeRefusal Refusal, int Processed, int Declined)> Funnel(IEnumerable<NodeVerdict> verdicts)
    {
        var firsts = verdicts.Select(v => v.Reasons.Items.Select(r => (NodeRefusal?)KindOf(r)).ToList()).Where(kinds => !kinds.Contains(NodeRefusal.Absent)).Select(kinds => kinds.Min()).ToList();
        var left = firsts.Count;
        var stages = ImmutableArray.CreateBuilder<(NodeRefusal, int, int)>();
        foreach (var stage in Enum.GetValues<NodeRefusal>().Where(s => s != NodeRefusal.Absent))
        {
            var declined = firsts.Count(f => f == stage);
            stages.Add((stage, left, declined));
            left -= declined;
        }
        return stages.ToImmutable();
    }

    /// <summary>What most connected nodes refuse for; where none is connected, that.</summary>
    private static WaitKind Dominant(IReadOnlyCollection<NodeVerdict> verdicts)
    {
        var firsts = Funnel(verdicts).Where(s => s.Declined > 0).ToList();
        if (firsts.Count == 0) return WaitKind.Node;
        return WaitOf(firsts.MaxBy(s => s.Declined).Refusal);
    }

    private static WaitKind WaitOf(NodeRefusal refusal) => refusal switch
    {
        NodeRefusal.Constraint => WaitKind.Constraint,
        NodeRefusal.Data => WaitKind.Data,
        NodeRefusal.Absent or NodeRefusal.Cordoned => WaitKind.Node,
        _ => WaitKind.Resources,
    };

    private static WaitKind OnNode(Instance copy, string what) => copy.State switch
    {
        InstanceState.Unreachable => WaitKind.Node,
        InstanceState.Running => WaitKind.Health,
        InstanceState.Scheduled => WaitKind.Data,
        _ when what.Contains("lease", StringComparison.OrdinalIgnoreCase) => WaitKind.Lease,
        _ when what.Contains("to pull", StringComparison.Ordinal) => WaitKind.Pull,
        _ when what.StartsWith("volume ", StringComparison.Ordinal) || what.StartsWith("the data ", StringComparison.Ordinal) => WaitKind.Data,
        _ => WaitKind.Container,
    };
}
