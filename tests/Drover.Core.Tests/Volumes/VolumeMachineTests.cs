using CsCheck;
using Drover.Core.Apps;
using Drover.Core.Tests.Apps;
using Drover.Core.Tests.Moves;
using Drover.Core.Moves;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Volumes;
using Xunit;

namespace Drover.Core.Tests.Volumes;

public sealed class VolumeMachineTests
{
    private static readonly DateTimeOffset Now = Given.Noon;
    private static readonly VolumeName Data = new("data");
    private static readonly NodeId A = new("a"), B = new("b");
    private static readonly InstanceId Copy = new("db.1");
    private static readonly AppId App = new("/db");

    private static readonly AppSpec Spec = new() { Id = App, Cpus = 0.1, Container = new ContainerSpec { Image = "db", Volumes = [new VolumeMount(Data, "/data", false, VolumeNaming.HostPath)] } };

    private static readonly Volume Volume = new(Data, A, new(3), true, null, App, Now)
    {
        Snapshots = [new(new("good"), A, new(3), Now, new(7), SnapshotOrigin.Asked)], Standbys = [new(B, new("m1-f"), new(3), Now)],
    };

    private static ClusterState State(params ClusterChange[] more) => ClusterState.Empty.Apply(
    [
        Node(A), Node(B), Here(A), Here(B), new ClusterChange.PutApp(new App(Spec, Now, Now, Now)), new ClusterChange.PutVolume(Volume),
        new ClusterChange.PutInstance(new Instance(Copy, App, Spec, Now, 1, A, [], InstanceGoal.Running, InstanceState.Running, Now)), .. more,
    ]);

    private static ClusterChange Node(NodeId id) => new ClusterChange.PutNode(new Node(id, id.Value, "10.0.0.1", 4525, [], new(4, 4096, 10000, 0, []), "btrfs", "1", false, Now, Now));

    private static ClusterChange Here(NodeId id) => new ClusterChange.PutPresence(new(id, true, Now, ByteCount.GiB(10), ByteCount.GiB(9), default));

    private static (ClusterState State, VolumeOperation Operation) Begin(ClusterState state, Decision<VolumeAnswer> decision)
    {
        var begun = Assert.IsType<VolumeAnswer.Begun>(decision.Outcome);
        return (state.Apply(decision.Changes), begun.Operation);
    }

    private static ClusterState Take(ClusterState state, VolumeOperation seen, VolumeEvent happened)
    {
        var decision = VolumeMachine.Take(state, seen, happened, Now);
        return decision.Changes.IsDefaultOrEmpty ? state : state.Apply(decision.Changes);
    }

    private static readonly VolumeEvent Done = new VolumeEvent.Done(new(9));

    [Fact]
    public void A_restore_stops_keeps_what_was_live_and_goes_to_a_new_epoch()
    {
        var (state, operation) = Begin(State(), VolumeRequests.Restore(State(), Data, new("good"), new("o1"), Now));
        Assert.Equal(Copy, Assert.IsType<VolumeStep.Stop>(VolumeMachine.Step(state, operation)).Instance);
        Assert.NotNull(VolumeHold.Of(state, state.Instances[Copy]));
        state = Take(state, operation, Done);
        Assert.Equal((InstanceState.Scheduled, A), (state.Instances[Copy].State, state.Instances[Copy].Node!.Value));
        Assert.Empty(InstanceLifecycle.Resume(state, Now).Changes.IsDefault ? [] : InstanceLifecycle.Resume(state, Now).Changes);
        var take = Assert.IsType<VolumeStep.Take>(VolumeMachine.Step(state, state.Operations[new("o1")]));
        Assert.Equal((new Epoch(3), "s-good"), (take.Epoch, take.Needs!.Value.Value));
        state = Take(state, state.Operations[new("o1")], Done);
        var make = Assert.IsType<VolumeStep.Make>(VolumeMachine.Step(state, state.Operations[new("o1")]));
        Assert.Equal((new Epoch(4), Data, "s-good"), (make.Epoch, make.Source!.Value, make.From!.Value.Value));
        state = Take(state, state.Operations[new("o1")], Done);
        var volume = state.Volumes[Data];
        Assert.Equal((new Epoch(4), "s-good"), (volume.Epoch, volume.Base!.Value.Value));
        Assert.Contains(volume.Snapshots, s => s.Origin == SnapshotOrigin.BeforeRestore && s.Epoch == new Epoch(3));
        Assert.Null(VolumeHold.Of(state, state.Instances[Copy]));
        state = state.Apply(InstanceLifecycle.Resume(state, Now).Changes);
        Assert.Equal((2, A, InstanceState.Staging), (state.Instances[Copy].Incarnation, state.Instances[Copy].Node!.Value, state.Instances[Copy].State));
    }

    [Fact]
    public void A_restore_that_fails_before_its_commit_lets_the_app_go_at_the_old_epoch()
    {
        var (state, operation) = Begin(State(), VolumeRequests.Restore(State(), Data, new("good"), new("o1"), Now));
        state = Take(state, operation, Done);
        state = Take(state, state.Operations[operation.Id], new VolumeEvent.Failed(StepFailure.Operator, "no snapshot"));
        Assert.Equal((VolumeStage.Failed, "no snapshot"), (state.Operations[operation.Id].Stage, state.Operations[operation.Id].Failure));
        Assert.Equal(new Epoch(3), state.Volumes[Data].Epoch);
        Assert.Single(InstanceLifecycle.Resume(state, Now).Changes);
    }

    [Fact]
    public void Past_its_commit_a_restore_is_never_given_up()
    {
        var (state, operation) = Begin(State(), VolumeRequests.Restore(State(), Data, new("good"), new("o1"), Now));
        state = Take(Take(state, operation, Done), operation with { Stage = VolumeStage.Taking }, Done);
        for (var i = 0; i < 50; i++) state = Take(state, state.Operations[operation.Id], new VolumeEvent.Failed(StepFailure.Operator, "disk"));
        Assert.Equal((VolumeStage.Making, 50), (state.Operations[operation.Id].Stage, state.Operations[operation.Id].Attempts));
        Assert.NotNull(state.Operations[operation.Id].WaitsFor);
    }

    [Theory, InlineData(VolumeVerb.Restore), InlineData(VolumeVerb.Snapshot), InlineData(VolumeVerb.Clone), InlineData(VolumeVerb.Purge), InlineData(VolumeVerb.Prune)]
    public void Any_order_of_crashes_and_repeats_ends_the_same(VolumeVerb verb)
    {
        var expected = End(verb, []);
        // true: the answer is lost and the step asked for again; false: it is told twice.
        Gen.Bool.Array[0, 12].Sample(faults =>
        {
            var (state, nodes) = End(verb, faults);
            return Told(state) == Told(expected.State) && nodes.Same(expected.Nodes);
        }, iter: 500);
    }

    private static string Told(ClusterState state) => string.Join('\n', state.Volumes.Values.Select(v => v with { Snapshots = v.Snapshots }).Select(v => v.ToString()).Concat(state.Operations.Values.Select(o => $"{o.Verb} {o.Stage} {o.Failure}")));

    private static (ClusterState State, Model Nodes) End(VolumeVerb verb, bool[] faults)
    {
        var start = verb == VolumeVerb.Purge ? State(new ClusterChange.PutVolume(Volume with { Holder = null, DeletedAt = Now, PurgeAt = Now })) : State();
        var (state, operation) = Begin(start, verb switch
        {
            VolumeVerb.Restore => VolumeRequests.Restore(start, Data, new("good"), new("o1"), Now),
            VolumeVerb.Snapshot => VolumeRequests.Snapshot(start, Data, "next", SnapshotOrigin.Asked, new("o1"), Now),
            VolumeVerb.Clone => VolumeRequests.Clone(start, Data, "copy", null, new("o1"), Now),
            VolumeVerb.Purge => VolumeRequests.Purge(start, Data, "data", new("o1"), Now),
            _ => Decision.Of<VolumeAnswer>(new VolumeAnswer.Begun(Prune), [new ClusterChange.PutOperation(Prune)]),
        });
        var nodes = new Model();
        for (var i = 0; !state.Operations[operation.Id].Ended; i++)
        {
            Assert.True(i < 100);
            var seen = state.Operations[operation.Id];
            var came = nodes.Do(VolumeMachine.Step(state, seen));
            Assert.True(verb == VolumeVerb.Purge || nodes.Complete(), "the last complete copy is gone");
            var fault = i < faults.Length ? faults[i] : (bool?)null;
            if (fault == true) continue;
            state = Take(state, seen, came);
            if (fault == false) state = Take(state, seen, came);
        }
        return (state, nodes);
    }

    private static readonly VolumeOperation Prune = new(new("o1"), VolumeVerb.Prune, Data, B, VolumeStage.Checking, Now);

    /// <summary>What lies on the nodes.</summary>
    private sealed class Model
    {
        private readonly SortedDictionary<string, string> _live = new() { ["a/data"] = "3:now" };
        private readonly SortedSet<string> _snapshots = ["a/data/s-good", "b/data/m1-f"];

        public bool Complete() => _live.ContainsKey("a/data");
        public bool Same(Model other) => _live.SequenceEqual(other._live) && _snapshots.SequenceEqual(other._snapshots);

        public VolumeEvent Do(VolumeStep step)
        {
            var at = $"{step.Node}/{step.Volume}";
            switch (step)
            {
                case VolumeStep.Make make:
                    if (make.From is { } from && !_snapshots.Contains($"{make.Node}/{make.Source}/{from}")) return new VolumeEvent.Failed(StepFailure.Operator, "missing");
                    _live[at] = $"{make.Epoch}:{make.From}";
                    break;
                case VolumeStep.Take take: _snapshots.Add($"{at}/{take.Snapshot}"); break;
                case VolumeStep.Drop { Whole: true }: _live.Remove(at); _snapshots.RemoveWhere(s => s.StartsWith(at + "/", StringComparison.Ordinal)); break;
                case VolumeStep.Drop drop: foreach (var s in drop.Snapshots) _snapshots.Remove($"{at}/{s}"); break;
                case VolumeStep.Check when !_live.ContainsKey(at): return new VolumeEvent.Failed(StepFailure.Operator, "no data");
            }
            return Done;
        }
    }

    [Fact]
    public void A_standby_stays_when_its_primary_has_not_the_data()
    {
        var state = State(new ClusterChange.PutOperation(Prune));
        state = Take(state, Prune, new VolumeEvent.Failed(StepFailure.Operator, "no live data"));
        Assert.Equal((VolumeStage.Failed, 1), (state.Operations[Prune.Id].Stage, state.Volumes[Data].Standbys.Count));
    }

    [Theory, InlineData(VolumeVerb.Clone, VolumeStage.Making, true), InlineData(VolumeVerb.Create, VolumeStage.Making, false), InlineData(VolumeVerb.Restore, VolumeStage.Making, false), InlineData(VolumeVerb.Import, VolumeStage.Clearing, false)]
    public void Of_what_is_being_made_only_a_clone_may_be_given_up(VolumeVerb verb, VolumeStage stage, bool may) =>
        Assert.Equal(may, VolumeMachine.MayGiveUp(new(new("o1"), verb, Data, A, stage, Now)));

    private static ClusterChange Away(NodeId id) => new ClusterChange.PutPresence(new(id, false, Now, default, default, default));

    [Fact]
    public void A_standby_goes_only_on_a_word_just_heard_while_both_nodes_are_there()
    {
        var dropping = Take(State(new ClusterChange.PutOperation(Prune)), Prune, Done);
        var operation = dropping.Operations[Prune.Id];
        Assert.Equal(VolumeStage.Dropping, operation.Stage);
        Assert.Null(VolumeMachine.Stays(dropping, operation, operation));
        Assert.NotNull(VolumeMachine.Stays(dropping, operation, null));
        Assert.NotNull(VolumeMachine.Stays(dropping, operation, operation with { Attempts = 1 }));
        Assert.NotNull(VolumeMachine.Stays(dropping.Apply(Away(A)), operation, operation));
        Assert.NotNull(VolumeMachine.Stays(dropping.Apply(Away(B)), operation, operation));
        var failed = Take(dropping, operation, VolumeMachine.WentAway);
        Assert.Equal((VolumeStage.Failed, 1), (failed.Operations[Prune.Id].Stage, failed.Volumes[Data].Standbys.Count));
    }

    [Fact]
    public void A_prune_that_is_tried_again_asks_the_primary_again_and_not_for_ever()
    {
        var state = State(new ClusterChange.PutOperation(Prune));
        for (var tries = 1; !state.Operations[Prune.Id].Ended; tries++)
        {
            Assert.True(tries <= VolumeMachine.Tries);
            Assert.Equal((VolumeStage.Checking, tries - 1), (state.Operations[Prune.Id].Stage, state.Operations[Prune.Id].Attempts));
            state = Take(state, state.Operations[Prune.Id], Done);
            state = Take(state, state.Operations[Prune.Id], new VolumeEvent.Failed(StepFailure.Retry, "busy"));
        }
        Assert.Equal((VolumeStage.Failed, 1), (state.Operations[Prune.Id].Stage, state.Volumes[Data].Standbys.Count));
    }

    [Fact]
    public void A_volume_that_did_not_come_to_be_stays_with_the_app_that_claimed_it_and_is_made_where_that_is_placed()
    {
        var (state, operation) = Begin(State(), VolumeRequests.Create(State(), "new", "b", null, new("o1"), Now));
        var free = Take(state, operation, new VolumeEvent.Failed(StepFailure.Operator, "no"));
        Assert.False(free.Volumes.ContainsKey(new("new")));
        state = Take(state.Apply(new ClusterChange.PutVolume(state.Volumes[new("new")] with { Holder = App })), operation, new VolumeEvent.Failed(StepFailure.Operator, "no"));
        var volume = state.Volumes[new("new")];
        Assert.Equal((App, null, Epoch.None, false), (volume.Holder!.Value, volume.Primary, volume.Epoch, volume.Initialized));
    }

    [Theory, InlineData(false), InlineData(true)]
    public void The_name_of_a_clone_that_failed_is_never_made_empty_and_may_be_cloned_again(bool claimed)
    {
        var copy = new VolumeName("copy");
        var app = Spec with { Id = new("/second"), Container = Spec.Container! with { Volumes = [new VolumeMount(copy, "/data", false, VolumeNaming.HostPath)] } };
        var (state, operation) = Begin(State(), VolumeRequests.Clone(State(), Data, "copy", new("good"), new("o1"), Now));
        Assert.True(state.Volumes[copy].Initialized);
        if (claimed) state = state.Apply(VolumeClaims.Claim(state, app, Now));
        state = Take(state, operation, new VolumeEvent.Failed(StepFailure.Operator, "a trace of it is here"));
        // An app that comes only now must not find a free name either.
        if (!claimed) state = state.Apply(VolumeClaims.Claim(state, app, Now));
        Assert.Equal((app.Id, null, true), (state.Volumes[copy].Holder!.Value, state.Volumes[copy].Primary, state.Volumes[copy].Initialized));
        Assert.False(Placement.Judge(state, app, A, null).Fits);
        Assert.Single(state.Volumes[Data].Snapshots);
        var reasons = string.Join('\n', Placement.Judge(state, app, A, null).Reasons.Items);
        Assert.Contains("volume copy has no data (the clone of volume 'data' failed: a trace of it is here), and is not made empty instead: clone it again", reasons, StringComparison.Ordinal);
        Assert.Contains("clone it again", Assert.IsType<VolumeAnswer.Refused>(VolumeRequests.Snapshot(state, copy, null, SnapshotOrigin.Asked, new("o2"), Now).Outcome).Remedy, StringComparison.Ordinal);
        (state, operation) = Begin(state, VolumeRequests.Clone(state, Data, "copy", new("good"), new("o2"), Now));
        state = Take(state, operation, Done);
        Assert.Equal((app.Id, A, true, null), (state.Volumes[copy].Holder!.Value, state.Volumes[copy].Primary, state.Volumes[copy].Initialized, state.Volumes[copy].Missing));
    }

    [Fact]
    public void The_record_of_a_clone_that_failed_goes_when_it_is_deleted()
    {
        var (state, operation) = Begin(State(), VolumeRequests.Clone(State(), Data, "copy", new("good"), new("o1"), Now));
        state = Take(state, operation, new VolumeEvent.Failed(StepFailure.Operator, "no"));
        state = state.Apply(VolumeRequests.Delete(state, new("copy"), TimeSpan.Zero, Now).Changes);
        state = state.Apply(VolumeRequests.Purge(state, new("copy"), "copy", new("o2"), Now).Changes);
        Assert.False(state.Volumes.ContainsKey(new("copy")));
    }

    [Fact]
    public void A_move_and_an_operation_wait_for_each_other()
    {
        var (state, _) = Begin(State(), VolumeRequests.Snapshot(State(), Data, null, SnapshotOrigin.Asked, new("o1"), Now));
        Assert.IsType<MoveRefusal.VolumeAtWork>(MovePlanner.Refusal(state, App, B));
        var moving = State(new ClusterChange.PutMove(MovePlanner.Plan(State(), Spec, State().Instances[Copy], A, B, [], MoveTrigger.Move, MovePolicy.Default, new("m1"), Now)));
        Assert.Equal(VolumeFault.NotNow, Assert.IsType<VolumeAnswer.Refused>(VolumeRequests.Snapshot(moving, Data, null, SnapshotOrigin.Asked, new("o2"), Now).Outcome).Fault);
    }

    private static readonly VolumeName Fresh = new("fresh");

    private static (ClusterState State, VolumeOperation Operation) Import() => Begin(State(), VolumeRequests.Import(State(), "fresh", "b", ByteCount.GiB(1), 7, new("o1"), Now));

    [Fact]
    public void An_import_holds_its_name_until_the_file_is_a_volume()
    {
        var (state, operation) = Import();
        var step = Assert.IsType<VolumeStep.Receive>(VolumeMachine.Step(state, operation));
        Assert.Equal((B, 1L, ByteCount.GiB(1), 7L), (step.Node, step.Epoch.Value, step.Size!.Value, step.BytesPerSecond!.Value));
        Assert.False(state.Volumes[Fresh].Initialized);
        Assert.True(operation.KeepsAppsFrom(Fresh));
        Assert.IsType<VolumeAnswer.Refused>(VolumeRequests.Import(state, "fresh", null, null, null, new("o2"), Now).Outcome);
        state = Take(state, operation, Done);
        var volume = state.Volumes[Fresh];
        Assert.Equal((true, step.Snapshot, ByteCount.GiB(1), VolumeStage.Done), (volume.Initialized, volume.Base!.Value, volume.Size!.Value, state.Operations[new("o1")].Stage));
        // The first move of the volume takes it for what a move left, and takes it away.
        Assert.Contains(step.Snapshot, MoveSnapshots.Leftovers(MoveMachineTests.In(MoveState.Preparing), null, new(Fresh, default, [new(step.Snapshot, "i", default)]), null));
    }

    [Theory, InlineData(StepFailure.Retry), InlineData(StepFailure.Operator), InlineData(StepFailure.Refused)]
    public void An_import_that_fails_clears_away_what_it_brought_and_nothing_else_before_its_name_is_free(StepFailure kind)
    {
        var (state, operation) = Import();
        Assert.True(VolumeMachine.MayGiveUp(operation));
        state = Take(state, operation, new VolumeEvent.Failed(kind, "cut short"));
        var clearing = state.Operations[new("o1")];
        Assert.Equal((VolumeStage.Clearing, "cut short", false), (clearing.Stage, clearing.Failure, VolumeMachine.MayGiveUp(clearing)));
        Assert.Equal(new VolumeStep.Clear(B, Fresh, new(1), operation.Snapshot!.Value), VolumeMachine.Step(state, clearing));
        // However long its node is away, and until a person has mended its pool: forgotten, what it brought would be nobody's.
        for (var i = 0; i < 2 * VolumeMachine.Tries; i++) state = Take(state, state.Operations[new("o1")], new VolumeEvent.Failed(i % 2 == 0 ? StepFailure.Retry : StepFailure.Operator, "the pool is read-only"));
        Assert.Equal(VolumeStage.Clearing, state.Operations[new("o1")].Stage);
        Assert.Contains(Fresh, state.Volumes.Keys);
        state = Take(state, state.Operations[new("o1")], Done);
        Assert.Equal((VolumeStage.Failed, "cut short"), (state.Operations[new("o1")].Stage, state.Operations[new("o1")].Failure));
        Assert.DoesNotContain(Fresh, state.Volumes.Keys);
    }

    [Fact]
    public void An_app_that_waits_for_an_import_that_failed_does_not_start_on_an_empty_volume()
    {
        var (state, operation) = Import();
        state = state.Apply(new ClusterChange.PutVolume(state.Volumes[Fresh] with { Holder = new("/second") }));
        state = Take(Take(state, operation, new VolumeEvent.Failed(StepFailure.Operator, "cut short")), state.Operations[new("o1")] with { Stage = VolumeStage.Clearing }, Done);
        Assert.Equal((null, true, "its import failed: cut short"), (state.Volumes[Fresh].Primary, state.Volumes[Fresh].Initialized, state.Volumes[Fresh].Missing));
        state = Take(state.Apply(VolumeRequests.Import(state, "fresh", "b", null, null, new("o2"), Now).Changes), new(new("o2"), VolumeVerb.Import, Fresh, B, VolumeStage.Receiving, Now), Done);
        Assert.Equal((new AppId("/second"), B, null), (state.Volumes[Fresh].Holder!.Value, state.Volumes[Fresh].Primary!.Value, state.Volumes[Fresh].Missing));
    }

    [Fact]
    public void What_lies_on_the_node_and_is_not_the_import_s_stays_and_the_name_is_given_back()
    {
        var (state, operation) = Import();
        state = Take(state, operation, new VolumeEvent.Failed(StepFailure.Operator, "known here"));
        state = Take(state, state.Operations[new("o1")], new VolumeEvent.Failed(StepFailure.Refused, "left alone"));
        Assert.Equal((VolumeStage.Failed, "known here; left alone"), (state.Operations[new("o1")].Stage, state.Operations[new("o1")].Failure));
        Assert.DoesNotContain(Fresh, state.Volumes.Keys);
    }

    [Fact]
    public void A_snapshot_that_an_export_left_goes_after_a_day()
    {
        var state = State(new ClusterChange.PutVolume(Volume with { Standbys = [], Snapshots = [new(new("export-1"), A, new(3), Now, new(7), SnapshotOrigin.ForExport), .. Volume.Snapshots] }));
        Assert.Null(VolumeUpkeep.Due(state, StandbyPolicy.Default, new("o1"), Now + TimeSpan.FromHours(23)).Outcome);
        Assert.Equal([new SnapshotName("export-1")], VolumeUpkeep.Due(state, StandbyPolicy.Default, new("o1"), Now + TimeSpan.FromDays(1)).Outcome!.Drops);
    }
}
