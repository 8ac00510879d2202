using System.Diagnostics;
using System.Net.Sockets;
using System.Security.Authentication;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Contracts.Tracing;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.Agent.Transfers;

/// <summary>The sending side: snapshots, and one connection for each volume.</summary>
public sealed class RoundSender(AgentOptions options, IVolumeDriver driver, TimeProvider time, ILogger<RoundSender> log, TransferLimits? nodeLimits = null) : IRoundSender
{
    private readonly TransferLimits _limits = nodeLimits ?? new(options, time);
    private readonly ClusterIdentity _identity = new(options.Certificates);

    public async Task<RoundOutcome> Send(SendRound round, string moveId, Action<StepProgress> progress, CancellationToken cancel)
    {
        // Before the snapshots: what they would hold while waiting would only be older.
        using var slot = await _limits.Outgoing.Enter(round.Final, place => Say(round, moveId, progress, place.ToString()), cancel);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var began = time.GetTimestamp();
        // Dialled before the snapshots are taken: the handshake then costs the cutover nothing.
        var dialled = round.Volumes.Select(_ => OutgoingTransfer.Dial(round, _identity, time, stop.Token)).ToList();
        try
        {
            var snapshots = await TakeSnapshots(round, moveId, progress, cancel);
            var snapshotTime = time.GetElapsedTime(began);
            var at = time.GetUtcNow();
            var limit = new RateLimit(round.BytesPerSecond, time);
            var sendBegan = time.GetTimestamp();
            var all = round.Volumes.Select((volume, i) => new Outgoing(round, moveId, volume, snapshots[i], limit, round.Final ? null : _limits.Rate, progress)).ToList();
            var sent = await Task.WhenAll(all.Select((what, i) => SendOne(dialled[i], what, stop)));
            return new()
            {
                Bytes = sent.Sum(s => s.Bytes), ElapsedUs = Us(time.GetElapsedTime(began)), SnapshotUs = Us(snapshotTime), SendUs = Us(time.GetElapsedTime(sendBegan)),
                SyncUs = sent.Select(s => s.SyncUs).DefaultIfEmpty().Max(), SnapshotAtUnixMs = at.ToUnixTimeMilliseconds(),
                WireBytes = all.Sum(w => w.Wire), ResentBytes = all.Zip(sent, (w, s) => Math.Max(0, w.Written + w.Resumed - s.Bytes)).Sum(), ResumedBytes = all.Sum(w => w.Resumed), Redials = all.Sum(w => w.Redials),
            };
        }
        catch (Exception e) when (e is not (RoundFailed or OperationCanceledException))
        {
            log.LogWarning("move {Move}: round {Round} to {Target} failed: {Why}", moveId, round.Number, round.TargetNode, e.Message);
            throw Failure(round, e);
        }
        finally
        {
            await stop.CancelAsync();
            foreach (var connection in dialled) await Close(connection);
        }
    }

    /// <summary>All volumes of one round at one time, as near as can be; sealed all before the first snapshot when nothing may change any more.</summary>
    private async Task<List<SnapshotView>> TakeSnapshots(SendRound round, string moveId, Action<StepProgress> progress, CancellationToken cancel)
    {
        Say(round, moveId, progress, round.Final ? "sealing" : "taking a snapshot");
        // While the app runs, so that the snapshot (and later the stop) finds little left to write.
        if (!round.Final) await driver.Sync(cancel);
        foreach (var volume in round.Final ? round.Volumes : [])
        {
            Require(await driver.Unmount(new(volume.Name), cancel));
            Require(await driver.Seal(new(volume.Name), true, new(volume.Epoch), cancel));
        }
        var taken = new List<SnapshotView>();
        foreach (var volume in round.Volumes)
        {
            var outcome = await driver.Snapshot(new(volume.Name), new(volume.Snapshot), new(volume.Epoch), cancel);
            Require(outcome);
            taken.Add(outcome.Value!);
        }
        return taken;
    }

    private async Task<Sent> SendOne(Task<OutgoingTransfer> dialled, Outgoing what, CancellationTokenSource stop)
    {
        using var span = Traces.Begin("send", Activity.Current?.Id, ActivityKind.Client);
        span?.SetTag("drover.volume", what.Volume.Name).SetTag("drover.snapshot", what.Volume.Snapshot).SetTag("drover.target", what.Round.TargetNode);
        try
        {
            var transfer = await dialled;
            var here = await driver.Inspect(new(what.Volume.Name), stop.Token);
            what.Basis = here?.Snapshots.FirstOrDefault(s => s.Name.Value == what.Volume.Base && what.Volume.Base.Length > 0);
            return await new Persistence(what, driver, _identity, time, log).Send(transfer, stop.Token);
        }
        catch
        {
            // The round fails as a whole: the other volumes need not finish.
            await stop.CancelAsync();
            throw;
        }
        finally { await what.DisposeAsync(); }
    }

    private static void Say(SendRound round, string moveId, Action<StepProgress> progress, string doing)
    {
        foreach (var volume in round.Volumes) progress(new() { MoveId = moveId, Volume = volume.Name, Round = round.Number, Doing = doing });
    }

    private static void Require(VolumeOutcome outcome)
    {
        if (outcome.Ok) return;
        var kind = outcome.Kind switch
        {
            VolumeOutcomeKind.Busy => StepErrorKind.Retry,
            VolumeOutcomeKind.Conflict => StepErrorKind.Operator,
            _ => StepErrorKind.Refused,
        };
        throw new RoundFailed(kind, outcome.Message ?? outcome.Kind.ToString());
    }

    private static RoundFailed Failure(SendRound round, Exception e) => e switch
    {
        AuthenticationException => new(StepErrorKind.Operator, $"node {round.TargetNode} at {round.TargetAddress}:{round.TargetPort} is not who it should be, or does not know this node ({e.Message}): check both nodes' certificates", e),
        SocketException => new(StepErrorKind.Retry, $"node {round.TargetNode} cannot be reached at {round.TargetAddress}:{round.TargetPort} ({e.Message}): the agent there must run, and no firewall be between", e),
        // The app stands still meanwhile, and a target that did not answer for so long has been waited for.
        TargetSilent when round.Final => new(StepErrorKind.Refused, $"node {round.TargetNode} does not answer ({e.Message}): the app was not to wait longer; nothing of this round is visible there, move again when it is back", e),
        IOException or InvalidDataException => new(StepErrorKind.Retry, $"the transfer to node {round.TargetNode} broke off ({e.Message}): nothing of this round is visible there, it can be repeated", e),
        Host.HostCommandFailed => new(StepErrorKind.Retry, e.Message, e),
        _ => new(StepErrorKind.Operator, e.Message, e),
    };

    private static async Task Close(Task<OutgoingTransfer> dialled)
    {
        try { await (await dialled).DisposeAsync(); }
        // A connection that never came about needs no closing; why it did not was said by whoever needed it.
        catch (Exception e) when (e is IOException or SocketException or AuthenticationException or OperationCanceledException or FormatException) { }
    }

    private static long Us(TimeSpan span) => (long)span.TotalMicroseconds;
}
