using Drover.Core.Apps;
using Drover.Core.State;
using Drover.Core.Tests.Apps;
using Xunit;

namespace Drover.Core.Tests.State;

/// <summary>What is kept beside the state with each change must say what the state itself says: after any changes it answers as one that was read from the store just now.</summary>
public sealed class IndexTests
{
    private static readonly AppSpec[] Specs = [Given.Spec("/a", instances: 3), Given.Spec("/b") with { Unreachable = new(TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(600)) }, Given.Spec("/c") with { Unreachable = null }];
    private static readonly string[] Nodes = ["node1", "node2", "node3"];

    [Fact]
    public void After_any_changes_a_state_answers_as_one_that_was_just_read()
    {
        for (var seed = 0; seed < 25; seed++)
        {
            var dice = new Dice(seed);
            var state = Given.Cluster([.. Nodes.Select(n => Given.Node(n))]).And([.. Specs.Select(s => (ClusterChange)new ClusterChange.PutApp(s.App()))]);
            for (var step = 0; step < 120; step++)
            {
                state = state.Apply([Change(dice, state)]);
                if (step % 10 == 9) Same(state, Read(state), $"seed {seed}, step {step}");
            }
        }
    }

    private static ClusterState Read(ClusterState state) => ClusterState.Empty.Restore(
        [.. state.Nodes.Values.Select(n => (ClusterChange)new ClusterChange.PutNode(n)), .. state.Apps.Values.Select(a => new ClusterChange.PutApp(a)), .. state.Instances.Values.Select(i => new ClusterChange.PutInstance(i))])
        .Seeing(state.Presence.Values, state.Revision);

    private static void Same(ClusterState kept, ClusterState read, string when)
    {
        foreach (var spec in Specs)
        {
            Assert.True(kept.InstancesOf(spec.Id).SequenceEqual(read.InstancesOf(spec.Id)), when);
            Assert.True(kept.CountsOf(spec.Id) == read.CountsOf(spec.Id), when);
        }
        foreach (var node in kept.Nodes.Keys)
        {
            Assert.True(kept.InstancesOn(node).OrderBy(i => i.Id).SequenceEqual(read.InstancesOn(node).OrderBy(i => i.Id)), when);
            Assert.True(Placement.Free(kept, node) == Placement.Free(read, node), when);
        }
        for (var second = 0; second <= 700; second += 70)
        {
            var now = Given.Noon.AddSeconds(second);
            Assert.True(LaunchTimeout.Deadline(kept, now) == LaunchTimeout.Deadline(read, now), when);
            Assert.True(LaunchTimeout.Fold(kept, now).Changes.SequenceEqual(LaunchTimeout.Fold(read, now).Changes), when);
            Assert.True(Absence.Deadline(kept, now, Given.Noon) == Absence.Deadline(read, now, Given.Noon), when);
            Assert.True(Absence.Fold(kept, now, Given.Noon).Changes.SequenceEqual(Absence.Fold(read, now, Given.Noon).Changes), when);
        }
        Assert.True(KillLine.Next(kept).Changes.SequenceEqual(KillLine.Next(read).Changes), when);
        Assert.True(InstanceLifecycle.Resume(kept, Given.Noon).Changes.SequenceEqual(InstanceLifecycle.Resume(read, Given.Noon).Changes), when);
    }

    private static ClusterChange Change(Dice dice, ClusterState state)
    {
        T One<T>(IReadOnlyList<T> of) => of[(int)(dice.NextDouble() * of.Count)];
        var copies = state.Instances.Values.OrderBy(i => i.Id).ToList();
        if (dice.NextDouble() < 0.1) return new ClusterChange.PutPresence(new(new(One(Nodes)), dice.NextDouble() < 0.6, Given.Noon.AddSeconds(One<int>([0, 5, 30])), default, default, default));
        if (dice.NextDouble() < 0.05) return new ClusterChange.PutNode(Given.Node(One(Nodes), cordoned: dice.NextDouble() < 0.5));
        if (copies.Count < 4 || dice.NextDouble() < 0.3)
            return new ClusterChange.PutInstance(Change(One(Specs).Copy($"i{dice.NewGuid():n}", dice.NextDouble() < 0.3 ? null : One(Nodes), One(Enum.GetValues<InstanceState>())) with { CreatedAt = Given.Noon.AddSeconds(dice.NextDouble()) }));
        return dice.NextDouble() < 0.2 ? new ClusterChange.RemoveInstance(One(copies).Id) : new ClusterChange.PutInstance(Change(One(copies)));

        Instance Change(Instance copy) => One<Func<Instance>>(
        [
            () => copy with { Goal = InstanceGoal.Removed, InLine = dice.NextDouble() < 0.5 },
            () => copy with { Goal = InstanceGoal.Running, InLine = false },
            () => copy.Node is null ? copy : copy with { State = One(Enum.GetValues<InstanceState>()), StagedAt = Given.Noon.AddSeconds(One<int>([0, 100, 300])) },
            () => copy.Node is null ? copy : copy with { State = InstanceState.Staging, Pulling = dice.NextDouble() < 0.5, LaunchSince = dice.NextDouble() < 0.5 ? null : Given.Noon.AddSeconds(50), StagedAt = Given.Noon },
            () => copy.WithoutPlace(),
            () => copy with { Node = new(One(Nodes)), State = InstanceState.Staging, StagedAt = Given.Noon },
            () => copy with { Healthy = dice.NextDouble() < 0.5 },
        ])();
    }
}
