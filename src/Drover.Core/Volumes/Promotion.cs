using System.Globalization;
using Drover.Core.Apps;
using Drover.Core.Networks;
using Drover.Core.State;

namespace Drover.Core.Volumes;

/// <summary>An operator's order to make a standby the primary although the primary cannot be asked.</summary>
/// <param name="AcceptLoss">What was written since the standby's snapshot may be lost, and the operator says so.</param>
public sealed record PromotionWish(VolumeName Volume, NodeId To, bool AcceptLoss);

/// <summary>What came of it.</summary>
public abstract record PromotionAnswer
{
    private PromotionAnswer() { }

    /// <param name="Volume">As it is now.</param>
    /// <param name="Loss">For people: what may be lost, and where it is kept.</param>
    public sealed record Done(Volume Volume, NodeId From, Standby Of, string Loss) : PromotionAnswer;

    /// <summary>The old primary may still write: ask again when that time has passed.</summary>
    public sealed record Waits(NodeId For, TimeSpan Left, string Loss) : PromotionAnswer;

    public sealed record Refused(PromotionFault Fault, string Field, string Message, string Remedy) : PromotionAnswer;
}

public enum PromotionFault { Unknown, NotNow, Impossible }

/// <summary>
/// The only change of a primary without the old one's word. Right only while the old primary's lease has ended: then its guard has ended its containers and sealed its data.
/// Nothing of the old primary's data is touched; when it comes back, it keeps its live data as a fork.
/// </summary>
public static class Promotion
{
    /// <summary>Name of the snapshot that keeps what an old primary wrote and nobody else has.</summary>
    public static SnapshotName ForkName(Epoch epoch) => new($"{ForkPrefix}{epoch}");

    public static bool IsFork(SnapshotName snapshot) => snapshot.Value.StartsWith(ForkPrefix, StringComparison.Ordinal);

    private const string ForkPrefix = "fork-e";

    /// <param name="left">What is left of the lease of the volume's primary, looked at inside this decision.</param>
    public static Decision<PromotionAnswer> Decide(ClusterState state, PromotionWish wish, NodeId primary, TimeSpan left, DateTimeOffset now)
    {
        if (Refusal(state, wish, primary) is { } refused) return refused;
        var volume = state.Volumes[wish.Volume];
        var standby = volume.Standbys.First(s => s.Node == wish.To);
        var loss = Loss(volume, standby, primary);
        if (!wish.AcceptLoss)
            return new PromotionAnswer.Refused(PromotionFault.Impossible, "acceptLoss", $"{loss}. Nothing was done", $"say --accept-loss if that is right; better, bring {primary} back");
        if (left > TimeSpan.Zero) return new PromotionAnswer.Waits(primary, left, loss);
        var promoted = volume with
        {
            Primary = wish.To, Epoch = volume.Epoch.Next, Base = standby.Snapshot,
            Standbys = volume.Standbys.Where(s => s.Node != wish.To).ToEquatableList(),
            Forks = volume.Forks.Add(new Fork(primary, volume.Epoch, ForkName(volume.Epoch), now, Kept: false)),
        };
        var given = GivenUp(state, wish.Volume, primary, now);
        IEnumerable<ClusterChange> changes = [.. given.Changes, new ClusterChange.PutVolume(promoted), .. Instances(state, wish.Volume, primary)];
        var apps = state.InstancesOn(primary).Where(i => Uses(i, wish.Volume)).Select(i => i.App).Distinct();
        var after = state.Apply(changes);
        return Decision.Of<PromotionAnswer>(new PromotionAnswer.Done(promoted, primary, standby, loss), [.. changes, .. apps.SelectMany(app => Addressing.Follow(after, app))],
            [.. given.Events, new ClusterEvent("volume.promoted", wish.Volume.Value, $"volume {wish.Volume} is on {wish.To} at epoch {promoted.Epoch}, of snapshot {standby.Snapshot}: {loss}")
            {
                Volume = wish.Volume, Node = wish.To, App = volume.Holder,
            }]);
    }

    private static PromotionAnswer.Refused? Refusal(ClusterState state, PromotionWish wish, NodeId primary)
    {
        if (!state.Volumes.TryGetValue(wish.Volume, out var volume)) return new(PromotionFault.Unknown, "volume", $"there is no volume '{wish.Volume}'", "list what there is with: drover volumes");
        if (!state.Nodes.ContainsKey(wish.To)) return new(PromotionFault.Unknown, "to", $"there is no node '{wish.To}'", "list what there is with: drover nodes");
        if (volume.Primary != primary) return new(PromotionFault.NotNow, "volume", $"volume '{wish.Volume}' has just changed its primary", "look with: drover volumes");
        if (primary == wish.To) return new(PromotionFault.NotNow, "to", $"volume '{wish.Volume}' is on '{wish.To}' already, at epoch {volume.Epoch}", "nothing is to be done");
        if (state.OpenMoveOf(wish.Volume) is { } move) return new(PromotionFault.NotNow, "volume", $"move {move.Id} of volume '{wish.Volume}' is {move.State}", "wait for its end; it is undone when a node stays away");
        if (state.OpenOperationOf(wish.Volume) is { } work && work.ChangesOwnershipOf(wish.Volume) && !WaitsForLost(state, work, primary))
            return new(PromotionFault.NotNow, "volume", $"{work.Named} of volume '{wish.Volume}' is under way", $"wait for its end: drover volume show {wish.Volume}");
        if (volume.DeletedAt is not null) return new(PromotionFault.Impossible, "volume", $"volume '{wish.Volume}' was deleted", $"give it back first: drover volume undelete {wish.Volume}");
        if (state.IsConnected(primary))
            return new(PromotionFault.NotNow, "volume", $"'{primary}' is connected and has all of volume '{wish.Volume}'", $"move it without loss: drover move {volume.Holder?.Value ?? "APP"} --to {wish.To}");
        if (!state.IsConnected(wish.To)) return new(PromotionFault.NotNow, "to", $"'{wish.To}' is not connected", "name a node that is, or bring it back");
        if (volume.Standbys.Items.All(s => s.Node != wish.To))
            return new(PromotionFault.Impossible, "to", $"'{wish.To}' has no complete copy of volume '{wish.Volume}'",
                volume.Standbys.Count == 0 ? $"no node has: bring '{primary}' back" : $"name one that has: {string.Join(", ", volume.Standbys.Select(s => s.Node.Value))}");
        return null;
    }

    /// <summary>Work that only the lost primary could take on, and that can be left: it must not keep the volume from its standby.</summary>
    private static bool WaitsForLost(ClusterState state, VolumeOperation work, NodeId primary) =>
        VolumeMachine.MayGiveUp(work) && VolumeMachine.Step(state, work).Node == primary;

    private static (IEnumerable<ClusterChange> Changes, IEnumerable<ClusterEvent> Events) GivenUp(ClusterState state, VolumeName volume, NodeId primary, DateTimeOffset now)
    {
        if (state.OpenOperationOf(volume) is not { } work || !WaitsForLost(state, work, primary)) return ([], []);
        var ended = VolumeMachine.Take(state, work, new VolumeEvent.Failed(Moves.StepFailure.Operator, $"node '{primary}' is lost, and the volume's standby took its place"), now);
        return (ended.Changes, ended.Events);
    }

    private static string Loss(Volume volume, Standby standby, NodeId primary) => string.Create(CultureInfo.InvariantCulture,
        $"what was written to volume '{volume.Name}' on '{primary}' since snapshot {standby.Snapshot} (on '{standby.Node}' since {standby.Since.UtcDateTime:yyyy-MM-dd HH:mm:ss} UTC) is not there; '{primary}' keeps it as snapshot {ForkName(volume.Epoch)} when it comes back");

    /// <summary>The app's copies on the old primary ended with its lease: those that are wanted wait for a place, where the data now is; the others are gone.</summary>
    private static IEnumerable<ClusterChange> Instances(ClusterState state, VolumeName volume, NodeId primary)
    {
        foreach (var instance in state.InstancesOn(primary).Where(i => Uses(i, volume)).OrderBy(i => i.Id))
        {
            // An agent that comes back is not told to run it, and removes the container.
            if (instance.Goal == InstanceGoal.Removed) yield return new ClusterChange.RemoveInstance(instance.Id);
            else
                yield return new ClusterChange.PutInstance(instance.WithoutPlace());
        }
    }

    private static bool Uses(Instance instance, VolumeName volume) => instance.Spec.Volumes.Any(m => m.Name == volume);
}

/// <summary>What an old primary had and its successor has not: set aside as a snapshot, for people to look into.</summary>
/// <param name="Epoch">Of the live data it was.</param>
/// <param name="Since">When the other node was promoted.</param>
/// <param name="Kept">The node said that the snapshot is there; until then its live data lies there sealed.</param>
public sealed record Fork(NodeId Node, Epoch Epoch, SnapshotName Snapshot, DateTimeOffset Since, bool Kept);
