using Drover.Core.Agents;
using Drover.Core.Apps;
using Drover.Core.State;
using Xunit;

namespace Drover.Core.Tests.Apps;

/// <summary>The timed scenarios of Marathon's page on unreachable tasks, each to the moment. A node counts as away after 15 s, where Mesos takes 75; from there on the clock is the app's strategy.</summary>
public sealed class AbsenceTimelineTests
{
    private static readonly NodeId Node1 = new("node1"), Node2 = new("node2");

    [Fact]
    public void Scenario_1_a_node_away_for_less_than_the_patience_is_not_noticed()
    {
        var play = new Play(0, 0);
        play.Away("node1").Until(14.999).Back("node1").Until(100_000);
        Assert.Empty(play.Told);
    }

    [Fact]
    public void Scenario_2_at_once_means_replaced_when_it_is_noticed_and_the_old_one_goes_when_its_node_is_back()
    {
        var play = new Play(0, 0);
        play.Away("node1").Until(60).Back("node1").Until(100_000);
        Assert.Equal(["15 gone task", "15 staged copy1 on node2"], play.Told);
        Assert.False(play.WouldKeep("task"));
    }

    [Fact]
    public void Scenario_3_a_copy_that_comes_back_before_it_is_given_up_leaves_one_of_one_at_once()
    {
        var play = new Play(0, 300);
        play.Away("node1").Until(60).Back("node1").Until(100_000);
        Assert.Equal(["15 unreachable task", "15 staged copy1 on node2", "60 running task", "60 killing copy1"], play.Told);
        Assert.True(play.WouldKeep("task"));
    }

    [Fact]
    public void Scenario_3_one_that_does_not_is_given_up_exactly_then()
    {
        var play = new Play(0, 300);
        play.Away("node1").Until(100_000);
        Assert.Equal(["15 unreachable task", "15 staged copy1 on node2", "315 gone task"], play.Told);
    }

    [Fact]
    public void Scenario_4_of_four_nodes_lost_none_delays_the_others()
    {
        var play = new Play(0, 0);
        play.Away("node5").Away("node4").Away("node3").Away("node1").Until(100_000);
        Assert.Equal(["15 gone task", "15 staged copy1 on node2"], play.Told);
    }

    [Fact]
    public void Scenario_5_with_five_minutes_it_is_replaced_and_given_up_after_exactly_five_minutes()
    {
        var play = new Play(300, 300);
        play.Away("node5").Away("node4").Away("node3").Away("node1").Until(100_000);
        Assert.Equal(["15 unreachable task", "315 gone task", "315 staged copy1 on node2"], play.Told);
    }

    [Fact]
    public void Scenario_6_another_node_that_went_and_came_back_delays_nothing()
    {
        var play = new Play(0, 0);
        play.Away("node3").Until(360).Back("node3").Until(720).Away("node1").Until(100_000);
        Assert.Equal(["735 gone task", "735 staged copy1 on node2"], play.Told);
    }

    [Fact]
    public void Scenario_7_after_a_day_means_after_a_day()
    {
        var play = new Play(86_400, 86_400);
        play.Away("node1").Until(90_000);
        Assert.Equal(["15 unreachable task", "86415 gone task", "86415 staged copy1 on node2"], play.Told);
    }

    [Fact]
    public void Between_inactive_and_given_up_there_are_two_records_and_one_that_counts()
    {
        var play = new Play(60, 600);
        play.Away("node1").Until(100_000);
        Assert.Equal(["15 unreachable task", "75 staged copy1 on node2", "615 gone task"], play.Told);
    }

    [Fact]
    public void Disabled_waits_for_ever()
    {
        var play = new Play(null);
        play.Away("node1").Until(30_000_000).Back("node1").Until(30_000_100);
        Assert.Equal(["15 unreachable task", "30000000 running task"], play.Told);
    }

    [Fact]
    public void A_copy_that_is_killed_while_its_node_is_away_is_given_up_at_once_and_replaced()
    {
        var play = new Play(null);
        play.Away("node1").Until(20).Kill("task").Until(100);
        Assert.Equal(["15 unreachable task", "20 gone task", "20 staged copy1 on node2"], play.Told);
        Assert.False(play.WouldKeep("task"));
    }

    [Fact]
    public void After_a_restart_of_the_control_plane_a_node_has_its_patience_anew()
    {
        var play = new Play(0, 0);
        play.Restarted(1000).Until(100_000);
        Assert.Equal(["1015 gone task"], play.Told.Where(t => t.Contains("task", StringComparison.Ordinal)));
    }

    /// <summary>The control plane's loop in pure form: it looks at the moments it named itself, and at nothing between.</summary>
    private sealed class Play
    {
        private readonly CountingChance _chance = new();
        private ClusterState _state;
        private DateTimeOffset _now = Given.Noon;
        private DateTimeOffset _since = Given.Noon;

        public Play(int? inactive, int expunge = 0)
        {
            var spec = Given.Spec() with { Unreachable = inactive is { } after ? new(TimeSpan.FromSeconds(after), TimeSpan.FromSeconds(expunge)) : null };
            _state = Given.Cluster(Given.Node("node1"), Given.Node("node2"), Given.Node("node3", cpus: 0), Given.Node("node4", cpus: 0), Given.Node("node5", cpus: 0)).And(spec.App())
                .And(spec.Copy("task", "node1") with { StartedAt = Given.Noon.AddDays(-1) });
        }

        public List<string> Told { get; } = [];

        public Play Away(string node) => Change(new ClusterChange.PutPresence(new(new(node), false, _now, default, default, default)));

        public Play Back(string node)
        {
            _state = _state.And(new ClusterChange.PutPresence(new(new(node), true, _now, default, default, default)));
            foreach (var copy in _state.InstancesOn(new(node)).ToList()) Take(InstanceLifecycle.Observed(_state, new(node), copy.Seen(InstanceCondition.Running), _now));
            return Look();
        }

        public Play Kill(string copy)
        {
            _state = _state.Apply(KillDecisions.Tasks(_state, [copy], false, false, _now, new("d")).Changes);
            return Look();
        }

        public Play Restarted(double second)
        {
            Until(second);
            foreach (var node in _state.Nodes.Keys.Where(n => n != Node2)) _state = _state.And(new ClusterChange.PutPresence(new(node, false, Given.Noon.AddYears(-1), default, default, default)));
            _since = _now;
            return Look();
        }

        public Play Until(double second)
        {
            var end = Given.Noon.AddSeconds(second);
            while (Absence.Deadline(_state, _now, _since) is { } next && next <= end)
            {
                _now = next;
                Look();
            }
            _now = end;
            return this;
        }

        /// <summary>Whether the node that comes back with this copy goes on running it.</summary>
        public bool WouldKeep(string copy) => _state.Instances.TryGetValue(new(copy), out var known) && known.Goal == InstanceGoal.Running;

        private Play Change(ClusterChange change)
        {
            _state = _state.And(change);
            return Look();
        }

        private Play Look()
        {
            Take(Absence.Fold(_state, _now, _since));
            foreach (var app in _state.Apps.Values)
            {
                var step = Rollout.Scale(_state, app, _now, _since, _chance);
                Take(Decision.Of(true, step.Changes, step.Events));
            }
            foreach (var copy in _state.Instances.Values.Where(i => i.Node is null).ToList()) Place(copy);
            foreach (var copy in _state.Instances.Values.Where(i => i.Goal == InstanceGoal.Removed && _state.IsConnected(i.Node!.Value)).ToList()) _state = _state.And(new ClusterChange.RemoveInstance(copy.Id));
            return this;
        }

        private void Place(Instance copy)
        {
            var verdict = Placement.Rank(_state, copy.Spec, copy).FirstOrDefault(v => v.Fits);
            if (verdict is null) return;
            Say("staged", copy, verdict.Node);
            _state = _state.And(copy with { Node = verdict.Node, State = InstanceState.Running, StartedAt = _now });
        }

        private void Take<T>(Decision<T> decision)
        {
            var before = _state;
            _state = _state.Apply(decision.Changes);
            foreach (var happened in decision.Events.Where(e => e.Kind != "instance.scheduled")) Say(happened.Kind["instance.".Length..], before.Instances[happened.Instance!.Value], null);
        }

        private void Say(string what, Instance copy, NodeId? at) =>
            Told.Add(FormattableString.Invariant($"{(_now - Given.Noon).TotalSeconds:0} {what} {(copy.Id.Value == "task" ? "task" : "copy1")}{(at is null ? "" : $" on {at}")}"));
    }
}
