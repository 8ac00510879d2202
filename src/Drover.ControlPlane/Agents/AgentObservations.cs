using System.Collections.Immutable;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.ControlPlane.Agents;

/// <summary>What an agent says, folded into the state: pure, so that a whole greeting is one decision and one commit.</summary>
public static class AgentObservations
{
    /// <summary>An agent came: who it is, all it runs, all data it has. What the state has on this node and the agent has not is not there.</summary>
    public static Decision<bool> Greeted(ClusterState state, Hello hello, TimeSpan lease, DateTimeOffset now)
    {
        var fold = new Fold(state);
        var id = new NodeId(hello.Node);
        var known = state.Nodes.GetValueOrDefault(id);
        fold.Add(Decision.Of(true, [new ClusterChange.PutNode(AgentWords.Node(hello, known, lease, now)), new ClusterChange.PutPresence(Presence(state, id, hello.Pool, 0, now))],
            new ClusterEvent(known is null ? "node.joined" : "node.connected", hello.Node, $"{hello.Node} ({hello.Address}) is connected, agent {hello.AgentVersion}") { Node = id }));
        foreach (var volume in hello.Volumes) fold.Add(ReplicaLifecycle.Observed(fold.State, id, AgentWords.Replica(volume), now));
        fold.Add(ReplicaLifecycle.Missing(fold.State, id, hello.Volumes.Select(v => new VolumeName(v.Name)).ToHashSet()));
        foreach (var instance in hello.Instances) fold.Add(InstanceLifecycle.Observed(fold.State, id, AgentWords.Instance(instance), now));
        fold.Add(InstanceLifecycle.Missing(fold.State, id, hello.Instances.Select(i => new InstanceId(i.InstanceId)).ToHashSet(), now));
        return fold.Decision;
    }

    public static Decision<bool> Heard(ClusterState state, NodeId node, Heartbeat heartbeat, DateTimeOffset now)
    {
        var presence = Presence(state, node, heartbeat.Pool, heartbeat.AgentMemoryBytes, now);
        return state.Presence.GetValueOrDefault(node) == presence ? true : Decision.Of(true, [new ClusterChange.PutPresence(presence)]);
    }

    /// <param name="since">When it was last heard: what waits for it counts from there.</param>
    public static Decision<bool> Lost(ClusterState state, NodeId node, string why, DateTimeOffset since) =>
        !state.Presence.TryGetValue(node, out var presence) || !presence.Connected ? false
            : Decision.Of(true, [new ClusterChange.PutPresence(presence with { Connected = false, Since = since })],
                new ClusterEvent("node.disconnected", node.Value, $"{node} is not connected any more: {why}") { Node = node });

    private static NodePresence Presence(ClusterState state, NodeId node, PoolSpace? pool, long agentMemory, DateTimeOffset now)
    {
        var before = state.Presence.GetValueOrDefault(node);
        return new(node, true, before is { Connected: true } ? before.Since : now, new ByteCount(pool?.TotalBytes ?? 0), new ByteCount(pool?.FreeBytes ?? 0),
            new ByteCount(agentMemory == 0 ? before?.AgentMemory.Bytes ?? 0 : agentMemory));
    }

    /// <summary>Several decisions as one, each on the state that the ones before it make.</summary>
    private sealed class Fold(ClusterState state)
    {
        private readonly ImmutableArray<ClusterChange>.Builder _changes = ImmutableArray.CreateBuilder<ClusterChange>();
        private readonly ImmutableArray<ClusterEvent>.Builder _events = ImmutableArray.CreateBuilder<ClusterEvent>();

        public ClusterState State { get; private set; } = state;
        public Decision<bool> Decision => new(true, _changes.ToImmutable(), _events.ToImmutable());

        public void Add<T>(Decision<T> decision)
        {
            if (!decision.Events.IsDefault) _events.AddRange(decision.Events);
            if (decision.Changes.IsDefaultOrEmpty) return;
            _changes.AddRange(decision.Changes);
            State = State.Apply(decision.Changes);
        }
    }
}
