using Drover.ControlPlane.Agents;
using Drover.Core;
using Drover.Core.Agents;
using Drover.Core.Apps;
using Drover.Core.State;
using Drover.Testing;
using Xunit;

namespace Drover.ControlPlane.Tests.Apps;

/// <summary>What hurt Marathon's users when nodes were lost, images were bad or much was to be stopped, through the real loops. The clock is the test's.</summary>
public sealed class HardshipTests
{
    private static readonly AppSpec Web = new() { Id = new("/web"), Instances = 1, Cpus = 0.001, MemoryMiB = 0.1, Container = new() { Image = "web" } };
    private static readonly AppSpec Db = new()
    {
        Id = new("/db"), Cpus = 0.1, MemoryMiB = 32, Upgrade = new(0, 0), Constraints = [new("hostname", ConstraintOperator.Is, "node1")],
        Container = new() { Image = "db", Volumes = [new VolumeMount(new("data"), "/data", false, VolumeNaming.HostPath)] },
    };

    [Theory]
    [InlineData(0, 0)]
    [InlineData(300, 600)]
    public async Task A_lost_copy_is_replaced_at_the_very_moment_its_strategy_names(int inactive, int expunge)
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Web with { Unreachable = new(TimeSpan.FromSeconds(inactive), TimeSpan.FromSeconds(expunge)), Constraints = [new("disk", ConstraintOperator.Like, ".*")] });
        var node = (await lab.Settled()).InstancesOf(Web.Id).Single().Node!.Value;
        var lost = lab.Cluster.Current.InstancesOf(Web.Id).Single();
        await lab.Presence(node, false);
        lab.Cluster.Time.Advance(Absence.Patience);
        if (inactive > 0)
        {
            await lab.Cluster.Until(s => s.Instances.TryGetValue(lost.Id, out var copy) && copy.State == InstanceState.Unreachable, "the copy to count as unreachable");
            lab.Cluster.Time.Advance(TimeSpan.FromSeconds(inactive) - TimeSpan.FromMilliseconds(1));
            Assert.Single(lab.Cluster.Current.InstancesOf(Web.Id));
            lab.Cluster.Time.Advance(TimeSpan.FromMilliseconds(1));
        }
        var after = await lab.Cluster.Until(s => s.InstancesOf(Web.Id).Any(i => i.Id != lost.Id && i.Serves), "another in its place");
        Assert.Equal(expunge > inactive, after.Instances.ContainsKey(lost.Id));
        if (expunge == inactive) return;
        lab.Cluster.Time.Advance(TimeSpan.FromSeconds(expunge - inactive));
        await lab.Cluster.Until(s => !s.Instances.ContainsKey(lost.Id), "the old one to be given up");
    }

    [Fact]
    public async Task A_copy_that_was_given_up_is_stopped_when_its_node_comes_back()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Web);
        var lost = (await lab.Settled()).InstancesOf(Web.Id).Single();
        await lab.Presence(lost.Node!.Value, false);
        lab.Cluster.Time.Advance(Absence.Patience);
        await lab.Cluster.Until(s => !s.Instances.ContainsKey(lost.Id), "the copy to be given up");
        await lab.Presence(lost.Node.Value, true);
        // What an agent is not told to run it stops and removes.
        Assert.DoesNotContain(DesiredState.For(lab.Cluster.Current, lost.Node.Value).Instances, i => i.InstanceId == lost.Id.Value);
        var seen = new InstanceObservation(lost.Id, lost.Task, lost.App, InstanceCondition.Running, "c", null, null, [], false, null, null, null);
        Assert.Empty(InstanceLifecycle.Observed(lab.Cluster.Current, lost.Node.Value, seen, lab.Now).Changes);
    }

    /// <summary>One instance, {0,0}: its deployment stood still for ever, killing a task that was lost.</summary>
    [Fact]
    public async Task A_deployment_never_stands_still_over_a_copy_on_a_node_that_was_lost()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Web with { Upgrade = new(0, 0) });
        var lost = (await lab.Settled()).InstancesOf(Web.Id).Single();
        await lab.Presence(lost.Node!.Value, false);
        await lab.Update(lab.Cluster.Current.Apps[Web.Id].Spec with { Env = [new("A", "1")] });
        lab.Cluster.Time.Advance(Absence.Patience);
        var copy = Assert.Single((await lab.Settled()).InstancesOf(Web.Id));
        Assert.True(copy.Serves && copy.Node != lost.Node && copy.Spec.Env.Count == 1);
    }

    [Fact]
    public async Task A_copy_on_a_failed_node_is_never_shown_as_running()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Web with { Unreachable = null });
        var lost = (await lab.Settled()).InstancesOf(Web.Id).Single();
        await lab.Presence(lost.Node!.Value, false);
        lab.Cluster.Time.Advance(Absence.Patience);
        var copy = (await lab.Cluster.Until(s => s.Instances[lost.Id].State == InstanceState.Unreachable, "the copy to count as unreachable")).Instances[lost.Id];
        Assert.Equal((false, false, $"{lost.Node} to come back"), (copy.Runs, copy.Serves, copy.WaitsFor));
    }

    [Fact]
    public async Task A_database_never_gets_a_second_copy_with_an_empty_volume_whatever_its_strategy_and_its_volume_is_never_deleted()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Db with { Unreachable = new(TimeSpan.Zero, TimeSpan.Zero), Constraints = [] });
        var db = (await lab.Settled()).InstancesOf(Db.Id).Single();
        await lab.Presence(db.Node!.Value, false);
        lab.Cluster.Time.Advance(Absence.Patience);
        await lab.Cluster.Until(s => s.Instances[db.Id].State == InstanceState.Unreachable, "the copy to count as unreachable");
        for (var day = 0; day < 30; day++) lab.Cluster.Time.Advance(TimeSpan.FromDays(1));
        // Whatever the loops do when they wake, it is in the commits up to this one.
        await lab.Create(Web);
        await lab.Settled();
        var state = lab.Cluster.Current;
        Assert.Equal(db.Id, Assert.Single(state.InstancesOf(Db.Id)).Id);
        Assert.Equal((db.Node.Value, true, Db.Id), (state.Volumes[new("data")].Primary!.Value, state.Volumes[new("data")].Initialized, state.Volumes[new("data")].Holder!.Value));
        await lab.Presence(db.Node.Value, true);
        await lab.Cluster.Until(s => s.InstancesOf(Db.Id).Single().Serves, "the database again, where its data is");
        Assert.Equal(1, lab.MostWriters);
    }

    [Fact]
    public async Task A_killed_database_whose_node_is_away_waits_for_it_and_starts_nowhere_else()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Db with { Constraints = [] });
        var db = (await lab.Settled()).InstancesOf(Db.Id).Single();
        await lab.Presence(db.Node!.Value, false);
        await lab.Commands.KillTasks([db.Task.Value], false, false, lab.Now, CancellationToken.None);
        var waiting = await lab.Cluster.Until(s => s.InstancesOf(Db.Id).Any(i => i.Node is null && i.WaitsFor == $"{db.Task} to be gone from {db.Node}"), "the next copy to say what it waits for");
        Assert.Equal(db.Node, waiting.Volumes[new("data")].Primary);
        await lab.Presence(db.Node.Value, true);
        await lab.Cluster.Until(s => s.InstancesOf(Db.Id).ToList() is [{ Serves: true } copy] && copy.Id != db.Id, "the next copy, where the data is");
        Assert.Equal(1, lab.MostWriters);
    }

    [Fact]
    public async Task A_database_on_a_lost_node_is_deleted_at_once_and_says_where_its_copy_is_still_to_be_stopped()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Db with { Constraints = [] });
        var db = (await lab.Settled()).InstancesOf(Db.Id).Single();
        await lab.Presence(db.Node!.Value, false);
        Assert.IsType<AppOutcome.Accepted>(await lab.Commands.Delete(Db.Id, true, lab.Now, CancellationToken.None));
        Assert.False(lab.Cluster.Current.Apps.ContainsKey(Db.Id));
        await lab.Cluster.Until(s => s.Deployments.Values.Any(d => d.WaitsFor?.Contains(db.Node.Value.Value, StringComparison.Ordinal) == true), "the deletion to name the node");
        await lab.Presence(db.Node.Value, true);
        var after = await lab.Cluster.Until(s => s.Deployments.IsEmpty && !s.InstancesOf(Db.Id).Any(), "the copy to be stopped once its node is back");
        Assert.Equal((db.Node, null), (after.Volumes[new("data")].Primary, after.Volumes[new("data")].Holder));
    }

    [Fact]
    public async Task A_bad_image_is_never_tried_again_and_again_without_a_word()
    {
        await using var lab = await AppsLab.Start();
        var said = Said(lab, "instance.failing");
        await lab.Create(Web with { Container = new() { Image = "broken" }, Backoff = new(TimeSpan.FromSeconds(1), 2, TimeSpan.FromSeconds(60)) });
        for (var failure = 1; failure <= 3; failure++)
        {
            var count = failure;
            var failed = await lab.Cluster.Until(s => s.Apps[Web.Id].Delay?.Failures == count, $"failure {count}");
            Assert.Equal(TimeSpan.FromSeconds(1 << (count - 1)), failed.Apps[Web.Id].Delay!.Current);
            if (count == 3) break;
            await lab.Cluster.Until(s => s.InstancesOf(Web.Id).Single().WaitsFor?.StartsWith("its backoff until", StringComparison.Ordinal) == true, "the backoff to be named");
            lab.Cluster.Time.Advance(failed.Apps[Web.Id].Delay!.Until - lab.Now);
        }
        Assert.StartsWith("/web failed 3 times in a row, the last on node", await said, StringComparison.Ordinal);
        await lab.Cluster.Until(s => s.Deployments.Values.Single().WaitsFor?.Contains("it failed 3 times in a row, the last: there is no image 'broken'. Correct the app", StringComparison.Ordinal) == true, "the deployment to say so");
    }

    [Fact]
    public async Task A_copy_that_never_starts_is_given_up_after_five_minutes_and_tried_again_with_a_delay()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Web with { Container = new() { Image = "stuck" } });
        var first = (await lab.Cluster.Until(s => s.InstancesOf(Web.Id).Any(i => i.State == InstanceState.Staging), "a copy that is staged")).InstancesOf(Web.Id).Single();
        lab.Cluster.Time.Advance(LaunchTimeout.Limit);
        var after = await lab.Cluster.Until(s => s.InstancesOf(Web.Id).ToList() is [var copy] && copy.Id != first.Id && copy.WaitsFor?.StartsWith("its backoff until", StringComparison.Ordinal) == true, "another that waits for its backoff");
        Assert.Equal(1, after.Apps[Web.Id].Delay!.Failures);
        Assert.StartsWith("it was not started 300 s after it was placed", after.Apps[Web.Id].LastTaskFailure!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Many_copies_are_stopped_a_hundred_at_once_to_the_last()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Web with { Instances = 350 });
        await lab.Settled();
        var most = 0;
        var counting = Watching(lab, state => most = Math.Max(most, state.Instances.Values.Count(i => i is { Goal: InstanceGoal.Removed, InLine: false })));
        await lab.Commands.Scale(Web.Id, 0, false, lab.Now, CancellationToken.None);
        Assert.Empty((await lab.Settled()).Instances);
        await counting.End();
        Assert.Equal(KillLine.AtOnce, most);
    }

    [Fact]
    public async Task Copies_that_are_lost_while_an_app_scales_up_kill_nothing_else()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Web with { Instances = 50 });
        var before = (await lab.Settled()).InstancesOf(Web.Id).Where(i => i.Node == AppsLab.Node2).Select(i => i.Id).ToHashSet();
        await lab.Commands.Scale(Web.Id, 100, false, lab.Now, CancellationToken.None);
        await lab.Presence(AppsLab.Node1, false);
        lab.Cluster.Time.Advance(Absence.Patience);
        var after = await lab.Cluster.Until(s => s.InstancesOf(Web.Id).Count(i => i.Serves && i.Node == AppsLab.Node2) == 100, "a hundred on the node that is left");
        Assert.Superset(before, after.InstancesOf(Web.Id).Select(i => i.Id).ToHashSet());
    }

    private static async Task<string> Said(AppsLab lab, string kind)
    {
        using var limit = new CancellationTokenSource(TestCluster.Patience);
        await foreach (var commit in lab.Cluster.Watch(limit.Token))
            foreach (var happened in commit.Events) if (happened.Kind == kind) return happened.Text;
        throw new TimeoutException($"never said: {kind}");
    }

    private static Watcher Watching(AppsLab lab, Action<ClusterState> look) => new(lab, look);

    /// <summary>Looks at every state there is until its end.</summary>
    private sealed class Watcher
    {
        private readonly CancellationTokenSource _end = new();
        private readonly Task _looking;

        public Watcher(AppsLab lab, Action<ClusterState> look) => _looking = Look(lab.Cluster.Watch(_end.Token), look);

        private async Task Look(IAsyncEnumerable<Committed> commits, Action<ClusterState> look)
        {
            try
            {
                await foreach (var commit in commits) look(commit.After);
            }
            catch (OperationCanceledException) when (_end.IsCancellationRequested) { /* the test has seen enough */ }
        }

        public async Task End()
        {
            await _end.CancelAsync();
            await _looking;
            _end.Dispose();
        }
    }
}
