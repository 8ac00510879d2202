using System.Text.Json;
using Drover.Contracts.Api;
using Drover.ControlPlane.Moves;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.Nodes;
using Drover.Core.Offers;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.ControlPlane.Api;

/// <summary>The cluster's state as /api/v1 shows it. Pure.</summary>
public static class ViewsV1
{
    /// <summary>Things that wait are shown up to this many.</summary>
    public const int MaxWaiting = 100;

    public static StatusView Status(ClusterState state, string version, DateTimeOffset startedAt, long memoryBytes) => new(
        "drover", version, startedAt, state.Nodes.Count, state.Nodes.Keys.Count(state.IsConnected), state.Apps.Count, state.Instances.Count, state.Instances.Values.Count(i => i.Serves),
        state.Volumes.Values.Count(v => v.DeletedAt is null), state.OpenMoves.Count(), memoryBytes, [.. Waiting(state).Take(MaxWaiting)]);

    private static IEnumerable<WaitingView> Waiting(ClusterState state)
    {
        foreach (var instance in state.Instances.Values.Where(i => i.Goal == InstanceGoal.Running && (i.Node is null || i.WaitsFor is not null)).OrderBy(i => i.CreatedAt).Take(MaxWaiting))
        {
            // Nodes are told where it waits for one: while it waits for a backoff or a move they say nothing.
            var what = WaitReasons.Brief(instance.WaitsFor ?? WaitReasons.Place);
            IReadOnlyList<NodeReasonView> reasons = instance.Node is null && what == WaitReasons.Place
                ? [.. Placement.Rank(state, instance.Spec, instance).Where(v => !v.Fits).Select(v => new NodeReasonView(v.Node.Value, string.Join("; ", v.Reasons)))] : [];
            yield return new("instance", instance.Id.Value, instance.App.Value, what, instance.CreatedAt, reasons);
        }
        foreach (var work in state.OpenOperations.Select(o => Operation(state, o)).Where(o => o.WaitsFor is not null).OrderBy(o => o.RequestedAt))
            yield return new("operation", work.Id, $"volume {work.Volume}", work.WaitsFor!, work.RequestedAt, []);
        foreach (var move in state.OpenMoves.Where(m => m.WaitsFor is not null).OrderBy(m => m.RequestedAt))
            yield return new("move", move.Id.Value, move.App.Value, move.WaitsFor!, move.History.Count > 0 ? move.History[^1].At : move.RequestedAt, []);
        foreach (var deployment in state.Deployments.Values.Where(d => d.WaitsFor is not null).OrderBy(d => d.StartedAt))
            yield return new("deployment", deployment.Id.Value, string.Join(' ', deployment.AffectedApps), deployment.WaitsFor!, deployment.StartedAt, []);
    }

    public static NodeView Node(ClusterState state, Node node)
    {
        var presence = state.Presence.GetValueOrDefault(node.Id);
        var instances = state.InstancesOn(node.Id).OrderBy(i => i.Id).ToList();
        var free = Placement.Free(state, node.Id);
        var total = node.Resources;
        var used = new ResourcesView(Rounded(total.Cpus - free.Cpus), Rounded(total.MemoryMiB - free.MemoryMiB), Rounded(total.DiskMiB - free.DiskMiB), string.Join(',', instances.SelectMany(i => i.Ports).Where(p => p != 0).Order()));
        return new(node.Id.Value, node.Hostname, node.Address, presence?.Connected == true, presence?.Since ?? node.ReregisteredAt, node.Cordoned, Attributes(node.Attributes), Resources(total), used,
            presence?.PoolTotal.Bytes ?? 0, presence?.PoolFree.Bytes ?? 0, presence?.AgentMemory.Bytes ?? 0, node.AgentVersion,
            [.. instances.Select(i => i.Task.Value)], [.. state.Volumes.Values.Where(v => v.Primary == node.Id && v.DeletedAt is null).Select(v => v.Name.Value)]) { Drain = node.Drain?.State.ToString(), TransferLimit = node.TransferLimit };
    }

    public static VolumeView Volume(ClusterState state, Volume volume) => new(
        volume.Name.Value, volume.Primary?.Value, volume.Epoch.Value, volume.Holder?.Value, volume.Used.Bytes,
        [.. volume.Standbys.Select(s => new StandbyView(s.Node.Value, s.Snapshot.Value, s.Epoch.Value, s.Since))], volume.CreatedAt, state.OpenMoveOf(volume.Name)?.Id.Value)
    {
        Forks = [.. volume.Forks.Select(f => new ForkView(f.Node.Value, f.Snapshot.Value, f.Epoch.Value, f.Since, f.Kept))],
        SizeBytes = volume.Size?.Bytes,
        Warning = volume.Missing is { } missing ? $"has no data: {missing}" : VolumeSizes.Warning(state, volume),
        Snapshots = [.. volume.Snapshots.Select(s => new KeptSnapshotView(s.Name.Value, s.Node.Value, s.Epoch.Value, s.TakenAt, s.Size.Bytes, JsonNamingPolicy.CamelCase.ConvertName(s.Origin.ToString())))],
        Schedule = volume.Schedule is { } schedule ? new ScheduleView(schedule.Every.TotalSeconds, schedule.Keep, schedule.NextAt) : null,
        DeletedAt = volume.DeletedAt, PurgeAt = volume.PurgeAt,
        Operation = state.OpenOperationOf(volume.Name) is { } work ? Operation(state, work) : null,
    };

    public static OperationView Operation(ClusterState state, VolumeOperation operation) => new(
        operation.Id.Value, JsonNamingPolicy.CamelCase.ConvertName(operation.Verb.ToString()), operation.Volume.Value, operation.Node.Value, operation.Stage.ToString(),
        operation.Snapshot?.Value, operation.Safety?.Value, operation.Target?.Value, operation.RequestedAt, operation.EndedAt,
        operation.Ended || state.IsConnected(operation.Node) ? operation.WaitsFor : $"node {operation.Node}, which is not connected", operation.Failure);

    public static OfferView Offer(Offer offer) => new(offer.Id.Value, offer.Node.Value, offer.Framework.Value, Resources(offer.Resources), Attributes(offer.Attributes));

    public static MoveView Move(Move move, ProgressView? progress) => new(
        move.Id.Value, move.App.Value, move.Trigger switch { MoveTrigger.Constraint => "constraint", MoveTrigger.Redeploy => "redeploy", MoveTrigger.Drain => "drain", MoveTrigger.Rebalance => "rebalance", _ => "move" }, move.State.ToString(),
        move.Source.Value, move.Target.Value, [.. move.Volumes.Select(v => v.Name.Value)], move.Volumes.Items.Sum(v => v.Used.Bytes),
        move.Volumes.Count > 0 && move.Volumes.Items.All(v => v.Base is not null), move.RequestedAt, move.Ended && move.History.Count > 0 ? move.History[^1].At : null,
        [.. move.History.Select(h => new MoveStateView(h.State.ToString(), h.At))], [.. move.Rounds.Select(Round)], progress, Waterfall.Of(move),
        move.Rounds.Items.Sum(r => r.Bytes.Bytes), move.WaitsFor, move.Failure)
    {
        Policy = Policy(move.Policy),
        PreStop = move.PreStop switch { PreStopState.Due => "due", PreStopState.Done => "done", PreStopState.Failed => $"failed: {move.PreStopSaid}", _ => null },
        Throttled = move.Throttled,
        CutAsked = move.CutNow,
    };

    public static MovePolicyView Policy(MovePolicy policy) =>
        new(policy.DowntimeTarget.TotalMilliseconds, MoveSettings.Word(policy.NonConvergence), MoveSettings.Word(policy.Quiesce), policy.PreStop?.Command, policy.BytesPerSecond ?? 0);

    private static RoundView Round(Round round) => new(
        round.Number, round.Final, round.Bytes.Bytes, round.Elapsed.TotalMilliseconds, round.SnapshotTime.TotalMilliseconds, round.SendTime.TotalMilliseconds, round.SyncTime.TotalMilliseconds,
        round.PredictedStop?.TotalMilliseconds)
    {
        DirtyBytesPerSecond = round.DirtyRate, PipeBytesPerSecond = round.PipeRate, PredictedDeltaBytes = round.PredictedDelta, WireBytes = round.WireBytes.Bytes, ResentBytes = round.ResentBytes.Bytes,
    };

    private static ResourcesView Resources(Resources amount) => new(Rounded(amount.Cpus), Rounded(amount.MemoryMiB), Rounded(amount.DiskMiB), string.Join(',', amount.Ports));

    // Sums and differences of decimal fractions, for people.
    private static double Rounded(double amount) => Math.Round(amount, 6);

    private static Dictionary<string, string> Attributes(EquatableList<NodeAttribute> given)
    {
        var attributes = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var attribute in given) attributes[attribute.Name] = attribute.Value;
        return attributes;
    }
}
