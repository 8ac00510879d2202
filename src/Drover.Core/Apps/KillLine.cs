using System.Collections.Immutable;
using Drover.Core.State;

namespace Drover.Core.Apps;

/// <summary>Stops copies, a bounded number at once; the others keep running and stand in line. An order to stop stands until the node says that the container is gone: it is given again
/// with every stream and the agent tries for as long as it takes.</summary>
public static class KillLine
{
    public const int AtOnce = 100;

    private static readonly string Turn = $"its turn to be stopped: at most {AtOnce} copies are stopped at once";

    /// <summary>The copies are to go. One that has no node is forgotten at once.</summary>
    public static (ImmutableArray<ClusterChange> Changes, ImmutableArray<ClusterEvent> Events) Stop(ClusterState state, IReadOnlyCollection<Instance> copies)
    {
        var room = Room(state);
        var changes = ImmutableArray.CreateBuilder<ClusterChange>(copies.Count);
        var events = ImmutableArray.CreateBuilder<ClusterEvent>(copies.Count);
        foreach (var copy in copies)
        {
            if (copy.Node is { } node && state.IsConnected(node) && room-- <= 0)
            {
                changes.Add(new ClusterChange.PutInstance(copy with { Goal = InstanceGoal.Removed, InLine = true, WaitsFor = Turn }));
                continue;
            }
            changes.Add(Stopped(copy));
            events.Add(StoppedEvent(copy));
        }
        return (changes.MoveToImmutable(), events.ToImmutable());
    }

    /// <summary>Has as many of those in line stopped as others have gone; the oldest first.</summary>
    public static Decision<int> Next(ClusterState state)
    {
        if (state.Copies.InLine.IsEmpty || Room(state) is not (> 0 and var room)) return 0;
        var next = state.Copies.InLine.Select(key => state.Instances[key.Id]).Where(i => i.Node is { } node && state.IsConnected(node)).Take(room).ToList();
        return Decision.Of(next.Count, next.Select(Stopped), [.. next.Select(StoppedEvent)]);
    }

    /// <summary>What is waited for while these are leaving; of many, how many.</summary>
    internal static string Wait(IReadOnlyList<Instance> leaving)
    {
        var inLine = leaving.Count(i => i.InLine);
        if (inLine > 0) return $"{leaving.Count} copies to be gone; {inLine} of them wait for {Turn}";
        return $"{leaving[0].Task}: {leaving[0].WaitsFor ?? $"{leaving[0].Node} to stop it"}";
    }

    // What is ordered of a node that is away takes nobody's turn.
    private static int Room(ClusterState state) => AtOnce - state.Copies.Leaving.Count(id => state.Instances[id].Node is { } node && state.IsConnected(node));

    internal static ClusterChange Stopped(Instance copy) => copy.Node is null
        ? new ClusterChange.RemoveInstance(copy.Id)
        : new ClusterChange.PutInstance(copy with { Goal = InstanceGoal.Removed, InLine = false, State = InstanceState.Killing, WaitsFor = $"{copy.Node} to stop and remove its container" });

    private static ClusterEvent StoppedEvent(Instance copy) => copy.Node is null
        ? InstanceLifecycle.Event("instance.gone", copy, null, "TASK_KILLED", $"{copy.Id} is not wanted any more")
        : InstanceLifecycle.Event("instance.killing", copy, copy.Node, "TASK_KILLING", $"{copy.Task} is being stopped on {copy.Node}");
}
