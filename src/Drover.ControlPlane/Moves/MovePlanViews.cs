using System.Globalization;
using Drover.Contracts.Api;
using Drover.Core;
using Drover.Core.Moves;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.ControlPlane.Moves;

/// <summary>What a move would take, reckoned from what the cluster knows and from moves before it.</summary>
public static class MovePlanViews
{
    public static MovePlanView Of(ClusterState state, MoveWish wish, MoveChoice choice, DateTimeOffset now)
    {
        var policy = wish.Overrides.Over(MoveSettings.Of(choice.Spec));
        var plan = MovePlanner.Plan(state, choice.Spec, choice.Instance, choice.Source, choice.Target.Node, choice.Target.Ports, MoveTrigger.Move, policy, new MoveId("plan"), now);
        var full = plan.Volumes.Items.Where(v => v.Base is null).Sum(v => v.Used.Bytes);
        var incremental = plan.Volumes.Count > 0 && plan.Volumes.Items.All(v => v.Base is not null);
        var ofApp = Last(state.Moves.Values.Where(m => m.App == wish.App && !m.SourceIdle));
        var rate = Last(state.Moves.Values.Where(m => m.Rounds.Count > 0)) is { } any ? Seeding.Rate(policy, any.Rounds) : policy.BytesPerSecond;
        double? seconds = plan.Volumes.Count == 0 ? 0 : rate is > 0 && !incremental ? full / rate : null;
        return new(wish.App.Value, plan.Source.Value, plan.Target.Value, [.. plan.Volumes.Select(v => v.Name.Value)], plan.Volumes.Items.Sum(v => v.Used.Bytes), full, incremental,
            plan.Volumes.Count == 0 || plan.SourceIdle ? 0 : Math.Min(ofApp is null ? 2 : ofApp.Rounds.Items.Count(r => !r.Final), policy.MaxRounds), seconds,
            ofApp?.Rounds.Items.LastOrDefault(r => !r.Final)?.PredictedStop?.TotalMilliseconds,
            [.. Notes(state, wish, plan, ofApp, rate)],
            [.. choice.Considered.Items.Where(v => !v.Fits && v.Node != plan.Source).Select(v => new NodeReasonView(v.Node.Value, string.Join("; ", v.Reasons)))])
        {
            Policy = Api.ViewsV1.Policy(policy),
            Driver = Drivers(state.Nodes[plan.Source].VolumeDriver, state.Nodes[plan.Target].VolumeDriver),
            WaitsFor = MoveQueue.Wait(state.Apply(new ClusterChange.PutMove(plan)), plan),
        };
    }

    private static IEnumerable<string> Notes(ClusterState state, MoveWish wish, Move plan, Move? before, double? rate)
    {
        if (plan.Volumes.Count == 0) yield return "the app has no volume: it is stopped at the source and started at the target";
        foreach (var volume in plan.Volumes.Items.Where(v => v.Base is not null))
        {
            var since = state.Volumes[volume.Name].Standbys.Items.First(s => s.Node == plan.Target).Since;
            yield return string.Create(CultureInfo.InvariantCulture, $"'{plan.Target}' holds a base of volume '{volume.Name}': only what changed since {since:u} is sent");
        }
        foreach (var volume in VolumeSizes.NotKept(state, plan.TargetSpec, plan.Target))
            yield return $"'{plan.Target}' does not keep volume '{volume.Name}' to its size of {volume.Size}: its driver cannot. The size stays the volume's and holds again where it can be kept";
        if (wish.Constraint is { } constraint) yield return $"the app's constraint becomes {constraint}";
        var policy = plan.Policy;
        if (MoveMachine.Freezes(plan))
            yield return "the app is frozen where it stands, not stopped: its data arrives as a power cut would leave it, and it starts at the target by its own recovery; connections to it end";
        if (policy.PreStop is { } command && !plan.SourceIdle)
            yield return $"before the cut the app's preStop command runs while it serves, {command.Limit.TotalSeconds:0} s at most, and one more round follows; if it fails the move {(command.Required ? "is undone" : "goes on and says so")}";
        if (!plan.SourceIdle && plan.Volumes.Count > 0) yield return Unmet(policy.NonConvergence);
        if (plan.SourceIdle) yield return "nothing runs at the source: the data goes in one pass";
        if (plan.WrittenByStop > ByteCount.MiB(1)) yield return $"at its last move the app wrote {plan.WrittenByStop} by stopping: the stop is longer by that";
        if (before is null) yield return "the stop can be predicted once two rounds have shown how fast the app writes";
        if (rate is null) yield return "no move has been made yet: the time depends on the disks and the link";
    }

    private static string Unmet(NonConvergence policy) => "where rounds do not shrink any more, " + policy switch
    {
        NonConvergence.Abort => "the move is undone",
        NonConvergence.Throttle => $"the app is slowed down by half, {MoveMachine.MostThrottle} times at most, and then cut",
        NonConvergence.Wait => "it goes on slowly until they do, or until: drover move cut",
        _ => "the app is cut anyway",
    };

    private static string Drivers(string source, string target) => source == target ? source : $"{source} to {target}";

    private static Move? Last(IEnumerable<Move> moves) => moves.Where(m => m.State == MoveState.Done).MaxBy(m => m.RequestedAt);
}
