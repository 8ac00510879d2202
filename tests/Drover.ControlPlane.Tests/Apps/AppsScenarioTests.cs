using Drover.Core.Offers;
using Xunit;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.State;
using Drover.Testing;

namespace Drover.ControlPlane.Tests.Apps;

/// <summary>Apps from request to rest, through the real commands, loops and offers.</summary>
public sealed class AppsScenarioTests
{
    private static readonly AppSpec Web = new() { Id = new("/web"), Instances = 3, Cpus = 0.5, Container = new() { Image = "web", PortMappings = [new(80, 0, 0, "tcp", null, [])] } };
    private static readonly AppSpec Db = new()
    {
        Id = new("/db"), Constraints = [new("disk", ConstraintOperator.Cluster, "spinning")],
        Container = new() { Image = "db", Volumes = [new VolumeMount(new("data"), "/data", false, VolumeNaming.HostPath)], Overlay = new(new("weave"), "10.255.0.10/24") },
    };

    [Fact]
    public async Task A_new_app_comes_to_run_all_its_copies()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Web);
        var state = await lab.Settled();
        Assert.Equal(3, state.InstancesOf(Web.Id).Count(i => i.Serves));
        Assert.InRange(state.Apps[Web.Id].Spec.Container!.PortMappings[0].ServicePort, ServicePorts.First, ServicePorts.Last);
    }

    [Fact]
    public async Task Scaling_adds_and_removes_copies_and_restarts_none()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Web);
        var before = (await lab.Settled()).InstancesOf(Web.Id).Select(i => i.Task).ToHashSet();
        await lab.Commands.Scale(Web.Id, 5, false, lab.Now, CancellationToken.None);
        var more = await lab.Settled();
        Assert.Equal(5, more.InstancesOf(Web.Id).Count());
        Assert.Superset(before, more.InstancesOf(Web.Id).Select(i => i.Task).ToHashSet());
        await lab.Commands.Scale(Web.Id, 1, false, lab.Now, CancellationToken.None);
        Assert.Single((await lab.Settled()).InstancesOf(Web.Id));
    }

    [Fact]
    public async Task An_upgrade_replaces_every_copy_and_the_same_spec_again_none()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Web);
        var before = (await lab.Settled()).InstancesOf(Web.Id).Select(i => i.Id).ToHashSet();
        var spec = lab.Cluster.Current.Apps[Web.Id].Spec;
        await lab.Update(spec with { Env = [new("A", "1")] });
        var after = await lab.Settled();
        Assert.Equal(3, after.InstancesOf(Web.Id).Count(i => i.Serves && !before.Contains(i.Id) && i.Spec.Env.Count == 1));
        await lab.Update(after.Apps[Web.Id].Spec);
        Assert.Equal(after.Revision, lab.Cluster.Current.Revision);
    }

    [Fact]
    public async Task A_database_upgrades_in_place_and_never_has_two_writers()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Db);
        var first = Assert.Single((await lab.Settled()).InstancesOf(Db.Id));
        await lab.Update(Db with { Env = [new("A", "1")] });
        var second = Assert.Single((await lab.Settled()).InstancesOf(Db.Id));
        Assert.Equal((first.Id, first.Incarnation + 1, first.Node), (second.Id, second.Incarnation, second.Node));
        Assert.Equal(1, lab.MostWriters);
    }

    [Fact]
    public async Task A_changed_constraint_moves_a_database_with_its_data_and_address()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Db);
        Assert.Equal(AppsLab.Node1, (await lab.Settled()).Volumes[new("data")].Primary);
        await lab.Update(Db with { Constraints = [new("disk", ConstraintOperator.Cluster, "ssd")] });
        var after = await lab.Settled();
        var move = Assert.Single(after.Moves.Values);
        Assert.Equal((MoveTrigger.Constraint, AppsLab.Node1, AppsLab.Node2), (move.Trigger, move.Source, move.Target));
        Assert.Equal((AppsLab.Node2, new Epoch(2)), (after.Volumes[new("data")].Primary!.Value, after.Volumes[new("data")].Epoch));
        Assert.Equal(AppsLab.Node2, after.Networks[new("weave")].Addresses[0].Node);
        Assert.Equal(AppsLab.Node2, Assert.Single(after.InstancesOf(Db.Id)).Node);
        Assert.Equal(1, lab.MostWriters);
    }

    [Fact]
    public async Task A_database_deleted_and_created_elsewhere_finds_its_data_there()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Db);
        await lab.Settled();
        Assert.IsType<AppOutcome.Accepted>(await lab.Commands.Delete(Db.Id, true, lab.Now, CancellationToken.None));
        var deleted = await lab.Settled();
        Assert.Equal((AppsLab.Node1, null), (deleted.Volumes[new("data")].Primary!.Value, deleted.Volumes[new("data")].Holder));
        Assert.Empty(deleted.Networks[new("weave")].Addresses);
        lab.Cluster.Time.Advance(TimeSpan.FromMinutes(1));
        var created = await lab.Create(Db with { Constraints = [new("disk", ConstraintOperator.Cluster, "ssd")] });
        var after = await lab.Settled();
        var move = Assert.Single(after.Moves.Values);
        Assert.Equal((MoveTrigger.Redeploy, created.Version, AppsLab.Node2), (move.Trigger, move.RequestedAt, move.Target));
        Assert.True(Assert.Single(after.InstancesOf(Db.Id)).Serves);
    }

    [Fact]
    public async Task An_app_no_node_takes_waits_and_says_why_for_each_and_runs_when_there_is_room()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Web with { Instances = 1, Cpus = 64 });
        var waiting = await lab.Cluster.Until(s => s.InstancesOf(Web.Id).Any(i => i.WaitsFor?.Contains("node1: needs 64 cpus, 4 left", StringComparison.Ordinal) == true), "reasons");
        Assert.Contains("node2: needs 64 cpus, 4 left", waiting.InstancesOf(Web.Id).Single().WaitsFor, StringComparison.Ordinal);
        Assert.Equal(2, WaitReasons.Of(waiting, Web.Id).Count(v => !v.Fits));
        var big = waiting.Nodes[AppsLab.Node1];
        await lab.Cluster.Given(new ClusterChange.PutNode(big with { Resources = big.Resources with { Cpus = 65 } }));
        Assert.Equal(AppsLab.Node1, (await lab.Settled()).InstancesOf(Web.Id).Single().Node);
    }

    [Fact]
    public async Task An_image_that_does_not_exist_backs_off_longer_each_time()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Web with { Instances = 1, Container = new() { Image = "broken" } });
        var failed = await lab.Cluster.Until(s => s.Apps[Web.Id].Delay is not null, "the first failure");
        Assert.Equal(TimeSpan.FromSeconds(1), failed.Apps[Web.Id].Delay!.Current);
        await lab.Cluster.Until(s => s.InstancesOf(Web.Id).Single().WaitsFor?.StartsWith("its backoff until", StringComparison.Ordinal) == true, "the backoff to be named");
        Assert.Equal("there is no image 'broken'", failed.Apps[Web.Id].LastTaskFailure!.Message);
        await Elapse(lab, s => s.Apps[Web.Id].Delay!.Current > TimeSpan.FromSeconds(1), "a longer delay");
    }

    [Fact]
    public async Task A_killed_copy_is_replaced_and_with_scale_it_is_not()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Web);
        var victim = (await lab.Settled()).InstancesOf(Web.Id).First();
        Assert.IsType<KillOutcome.Killed>(await lab.Commands.KillTasks([victim.Task.Value], false, false, lab.Now, CancellationToken.None));
        await lab.Cluster.Until(s => !s.Instances.ContainsKey(victim.Id) && s.InstancesOf(Web.Id).Count(i => i.Serves) == 3, "another in its place");
        var second = lab.Cluster.Current.InstancesOf(Web.Id).First();
        Assert.IsType<KillOutcome.Scaled>(await lab.Commands.KillTasks([second.Id.Value], true, false, lab.Now, CancellationToken.None));
        var after = await lab.Settled();
        Assert.Equal((2, 2), (after.Apps[Web.Id].Spec.Instances, after.InstancesOf(Web.Id).Count()));
        Assert.Equal(new KillOutcome.NoSuchTask("nobody"), await lab.Commands.KillTasks(["nobody"], false, false, lab.Now, CancellationToken.None));
    }

    [Fact]
    public async Task Copies_of_a_lost_node_are_replaced_and_a_database_waits_for_its_node()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Db);
        await lab.Create(Web with { Constraints = [new("hostname", ConstraintOperator.Unlike, "node2x")] });
        await lab.Settled();
        await lab.Presence(AppsLab.Node1, false);
        var after = await Elapse(lab, s => s.InstancesOf(Web.Id).Count(i => i.Node == AppsLab.Node2 && i.Serves) == 3, "three copies on node2");
        var db = Assert.Single(after.InstancesOf(Db.Id));
        Assert.Equal((InstanceState.Unreachable, "node1 to come back: its data is there"), (db.State, db.WaitsFor));
        await lab.Presence(AppsLab.Node1, true);
        await lab.Cluster.Until(s => s.InstancesOf(Db.Id).Single().Serves, "the database again");
        Assert.Equal(1, lab.MostWriters);
    }

    [Fact]
    public async Task A_change_under_way_locks_the_app_unless_forced()
    {
        await using var lab = await AppsLab.Start();
        var first = await lab.Create(Web with { Cpus = 64 });
        Assert.Equal(new AppOutcome.Locked([first.Deployment]), await lab.Commands.Scale(Web.Id, 2, false, lab.Now, CancellationToken.None));
        Assert.Equal(new AppOutcome.AlreadyExists(Web.Id), await lab.Commands.Create(Web, false, lab.Now, CancellationToken.None));
        await lab.Update(lab.Cluster.Current.Apps[Web.Id].Spec with { Cpus = 0.5 }, force: true);
        Assert.Equal(3, (await lab.Settled()).InstancesOf(Web.Id).Count(i => i.Serves));
    }

    [Fact]
    public async Task Cancelling_a_change_leads_back_to_what_was_before()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Web);
        var before = (await lab.Settled()).Apps[Web.Id].Spec;
        var change = await lab.Update(before with { Cpus = 64 });
        Assert.IsType<CancelOutcome.Reverting>(await lab.Commands.CancelDeployment(change.Deployment, false, lab.Now, CancellationToken.None));
        var after = await lab.Settled();
        Assert.Equal(before, after.Apps[Web.Id].Spec);
        Assert.Equal(3, after.InstancesOf(Web.Id).Count(i => i.Serves && i.Spec.Cpus == 0.5));
    }

    [Fact]
    public async Task A_deletion_cancelled_where_it_stood_leaves_nothing_held()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Db);
        await lab.Settled();
        await lab.Presence(AppsLab.Node1, false);
        var gone = Assert.IsType<AppOutcome.Accepted>(await lab.Commands.Delete(Db.Id, true, lab.Now, CancellationToken.None));
        await lab.Cluster.Until(s => s.InstancesOf(Db.Id).All(i => i.Goal == InstanceGoal.Removed), "its copy to be told to stop");
        Assert.IsType<CancelOutcome.Stopped>(await lab.Commands.CancelDeployment(gone.Deployment, true, lab.Now, CancellationToken.None));
        Assert.Equal(Db.Id, lab.Cluster.Current.Volumes[new("data")].Holder);
        await lab.Presence(AppsLab.Node1, true);
        var after = await lab.Cluster.Until(s => s.Volumes[new("data")].Holder is null && s.Networks[new("weave")].Addresses.Count == 0, "what it held to be free");
        Assert.Empty(after.InstancesOf(Db.Id));
        Assert.True(after.Volumes[new("data")].Initialized);
    }

    [Fact]
    public async Task A_volume_and_an_address_in_use_are_refused_with_their_holder_and_nothing_changes()
    {
        await using var lab = await AppsLab.Start();
        await lab.Create(Db);
        var before = await lab.Settled();
        var refused = Assert.IsType<AppOutcome.Invalid>(await lab.Commands.Create(Db with { Id = new("/thief") }, false, lab.Now, CancellationToken.None));
        Assert.Equal(
            [
                new("/container/volumes(0)/hostPath", "volume 'data' is in use by app '/db': delete that app first, or name another volume"),
                new FieldError("/env/WEAVE_CIDR", "address 10.255.0.10 is taken by app '/db': choose another"),
            ], refused.Errors);
        Assert.Equal(before.Revision, lab.Cluster.Current.Revision);
    }

    [Fact]
    public async Task A_foreign_framework_that_holds_the_offers_gives_them_over_when_it_declines()
    {
        await using var lab = await AppsLab.Start();
        var greedy = new FrameworkId("greedy");
        using var subscription = lab.Exchange.Subscribe(greedy, "greedy");
        Assert.Equal(2, lab.Exchange.Outstanding.Count(o => o.Framework == greedy));
        await lab.Create(Web);
        await lab.Cluster.Until(s => s.InstancesOf(Web.Id).Any() && s.InstancesOf(Web.Id).All(i => i.WaitsFor?.StartsWith("an offer of", StringComparison.Ordinal) == true), "copies that wait for an offer");
        lab.Exchange.Decline(greedy, [.. lab.Exchange.Outstanding.Select(o => o.Id)], TimeSpan.FromHours(1));
        Assert.Equal(3, (await lab.Settled()).InstancesOf(Web.Id).Count(i => i.Serves));
    }

    /// <summary>Moves the clock from one awaited state to the next: the loops name their own moments.</summary>
    private static async Task<ClusterState> Elapse(AppsLab lab, Func<ClusterState, bool> condition, string what)
    {
        var reached = lab.Cluster.Until(condition, what);
        while (!reached.IsCompleted)
        {
            lab.Cluster.Time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }
        return await reached;
    }
}
