using System.Net.Sockets;
using Drover.Agent.Volumes;

namespace Drover.Agent.Transfers;

/// <summary>Sends one volume's stream over as many connections as it takes: one that breaks is followed by another that goes on where the target is.</summary>
internal sealed class Persistence(Outgoing what, IVolumeDriver driver, ClusterIdentity identity, TimeProvider time, ILogger log)
{
    /// <summary>For so long without any progress. At the end the app stands still: undoing the move brings it back sooner than waiting.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60), UrgentPatience = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100), LongestPause = TimeSpan.FromSeconds(3), UrgentPause = TimeSpan.FromMilliseconds(500), LongestDial = TimeSpan.FromSeconds(8);

    private readonly TimeSpan _patience = what.Round.Final ? UrgentPatience : Patience, _longest = what.Round.Final ? UrgentPause : LongestPause;

    /// <param name="first">Belongs to the caller, who closes it.</param>
    public async Task<Sent> Send(OutgoingTransfer first, CancellationToken cancel)
    {
        LinkBroken broken;
        try { return await first.Send(what, driver, time, cancel); }
        catch (LinkBroken e) when (what.Accepted) { broken = e; }
        var (since, reached, pause) = (time.GetTimestamp(), what.Confirmed, TimeSpan.Zero);
        // What is left of it is the dial's too; a rest in which nobody can answer is none.
        while (_patience - time.GetElapsedTime(since) is var left && left > FirstPause)
        {
            log.LogWarning("move {Move}: the connection for {Volume}/{Snapshot} to {Target} broke ({Why}): dialling again", what.Move, what.Volume.Name, what.Volume.Snapshot, what.Round.TargetNode, broken.Message);
            what.Say($"the connection broke, dialling again: {broken.Message}", reached);
            if (pause > TimeSpan.Zero) await Task.Delay(pause, time, cancel);
            pause = TimeSpan.FromTicks(Math.Clamp(pause.Ticks * 2, FirstPause.Ticks, _longest.Ticks));
            try { return await Again(left > pause ? left - pause : FirstPause, cancel); }
            catch (LinkBroken e) { broken = e; }
            catch (NotReached e) { broken = new LinkBroken(e.InnerException!); }
            if (what.Confirmed <= reached) continue;
            (since, reached, pause) = (time.GetTimestamp(), what.Confirmed, TimeSpan.Zero);
        }
        throw new TargetSilent(broken.Message, broken);
    }

    private async Task<Sent> Again(TimeSpan within, CancellationToken cancel)
    {
        what.Redials++;
        OutgoingTransfer transfer;
        try { transfer = await OutgoingTransfer.Dial(what.Round, identity, time, within < LongestDial ? within : LongestDial, cancel); }
        // An agent that starts again refuses at first. One that turns out to be somebody else is not tried again.
        catch (Exception e) when (e is SocketException or IOException) { throw new NotReached(e); }
        await using (transfer) return await transfer.Send(what, driver, time, cancel);
    }

    private sealed class NotReached(Exception cause) : Exception(cause.Message, cause);
}

/// <summary>Nothing came of a target for as long as a round waits for one.</summary>
internal sealed class TargetSilent(string message, Exception cause) : IOException(message, cause);
