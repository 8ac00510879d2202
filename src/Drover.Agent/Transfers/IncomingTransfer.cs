using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics;
using Drover.Agent.Volumes;
using Drover.Contracts.Tracing;
using Drover.Core;

namespace Drover.Agent.Transfers;

/// <summary>What every incoming connection of this node shares.</summary>
/// <param name="Places">Of transfers: taken when the ticket was looked at, so only by whom the control plane sends.</param>
internal sealed record ReceivingParts(
    IVolumeDriver Driver, TicketDesk Desk, VolumeTurns Turns, Receptions Receptions, RefusalReports Reports, TransferQueue Queue, SemaphoreSlim Places, TimeProvider Time, ILogger Log)
{
    public TransferMeters? Meters { get; init; }
}

/// <summary>The receiving side of one connection, after the handshake.</summary>
internal sealed class IncomingTransfer(FrameChannel channel, string peer, ReceivingParts parts)
{
    public const int ProtocolVersion = 1;
    private const int CreditStep = 1024 * 1024;
    private readonly IVolumeDriver _driver = parts.Driver;
    private readonly Receptions _receptions = parts.Receptions;

    /// <param name="visit">Of this connection, as long as it has not shown its ticket.</param>
    public async Task Run(Doorway.Visit visit, CancellationToken cancel)
    {
        var hello = await ReadHello(dropBefore: false, visit.Ended);
        if (Check(hello, out var admission) is { } refused) { await Reject(refused, hello, visit.Ended); return; }
        visit.Dispose();
        // Before the place: an older connection for this volume, which may be dead without knowing, gives its own back.
        using var turn = await parts.Turns.Take(new VolumeName(hello.Volume), cancel);
        // For a final round an app stands still. How many those are, the control plane bounds by its tickets.
        if (hello.Urgent) { await Transfer(hello, admission!, turn, cancel); return; }
        await parts.Places.WaitAsync(turn.Cancelled);
        try { await Transfer(hello, admission!, turn, cancel); }
        finally { parts.Places.Release(); }
    }

    private async Task Transfer(Hello hello, Admission admission, VolumeTurns.Turn turn, CancellationToken cancel)
    {
        var move = admission.Ticket.Move;
        using var span = Traces.Begin("receive", hello.Trace, ActivityKind.Server);
        span?.SetTag("drover.move", move).SetTag("drover.volume", hello.Volume).SetTag("drover.snapshot", hello.Snapshot).SetTag("drover.source", peer);
        parts.Log.LogInformation("move {Move}: receiving {Volume}/{Snapshot} from {Peer}, base {Base}", move, hello.Volume, hello.Snapshot, peer, hello.Base ?? "none");
        while (true)
        {
            try
            {
                await Answer(hello, admission, turn.Cancelled);
                return;
            }
            catch (BaseUnusable e) when (hello.Base is not null)
            {
                parts.Log.LogWarning("move {Move}: {Volume}/{Snapshot} is sent again in full: {Why}", move, hello.Volume, hello.Snapshot, e.Message);
                await channel.Write(FrameType.Restart, new Abort(e.Message, "retry"), TransferJson.Default.Abort, turn.Cancelled);
                var again = await ReadHello(dropBefore: true, turn.Cancelled);
                // One ticket, one snapshot: the second greeting may differ in nothing but the base, which is gone.
                if (again with { Formats = hello.Formats } != hello with { Base = null, BaseIdentity = null }) { await Say(new Refuse("the second greeting is about something else", "refused"), turn.Cancelled); return; }
                // Used by this very connection, a moment ago.
                (hello, admission) = (again, admission with { Again = false });
            }
            catch (Exception e) when (e is not (OperationCanceledException or LinkBroken))
            {
                parts.Log.LogWarning("move {Move}: {Volume}/{Snapshot} from {Peer} failed, what arrived is dropped: {Why}", move, hello.Volume, hello.Snapshot, peer, e.Message);
                span.Failed(e.Message);
                var kind = e is PoolNearlyFull ? "operator" : e is InvalidDataException or EndOfStreamException or IOException or BaseUnusable ? "retry" : "operator";
                await channel.Write(FrameType.Abort, new Abort(e.Message, kind), TransferJson.Default.Abort, cancel);
                return;
            }
        }
    }

    private Rejection? Check(Hello hello, out Admission? admission)
    {
        admission = null;
        if (hello.Version != ProtocolVersion) return new(new($"protocol version {hello.Version} is not {ProtocolVersion}: bring both agents to one version", "operator"), null);
        if (FormatFor(hello) is null)
            return new(new($"no stream format in common: the {hello.Driver} driver of node {peer} sends {string.Join(", ", hello.Offered)}, the {_driver.Name} driver here receives {string.Join(", ", _driver.Abilities.Formats)}: "
                + "bring both agents to one version, or move to a node with a pool of the same kind", "operator"), null);
        if (parts.Desk.Check(hello, peer, out admission) is { } refused) return refused;
        // Refused here already, so that it calls off nothing that is under way.
        return admission!.Again && !_receptions.IsOf(KeyOf(hello, admission), admission.Ticket.Nonce) ? TicketDesk.UsedBefore : null;
    }

    private async Task Reject(Rejection refused, Hello hello, CancellationToken cancel)
    {
        parts.Log.LogWarning("{Peer} was refused {Volume}/{Snapshot}: {Why}", peer, hello.Volume, hello.Snapshot, refused.Say.Error);
        if (refused.Event is { } what) parts.Reports.Tell(what, peer, refused.Say.Error);
        await Say(refused.Say, cancel);
    }

    /// <summary>The sender's order counts: it knows what costs it least.</summary>
    private StreamFormat? FormatFor(Hello hello)
    {
        foreach (var format in hello.Offered)
            if (_driver.Abilities.Formats.Contains(format)) return format;
        return null;
    }

    private ReceptionKey KeyOf(Hello hello, Admission admission) => ReceptionKey.Of(hello, admission.Ticket, peer);

    private async Task Answer(Hello hello, Admission admission, CancellationToken cancel)
    {
        var volume = new VolumeName(hello.Volume);
        // One that goes on had its place before, and would be dropped while it waits.
        using var slot = await parts.Queue.Enter(hello.Urgent || _receptions.IsOf(KeyOf(hello, admission)), place => { if (hello.Resume) _ = TellPlace(place, cancel); }, cancel);
        var parked = await _receptions.Resume(KeyOf(hello, admission), hello);
        ReplicaView? here;
        try { here = await _driver.Inspect(volume, cancel); }
        catch (Exception) when (parked is { CanGoOn: true })
        {
            // It would wait for ever, with its program and its place, if nothing came back for it.
            _receptions.Park(parked);
            throw;
        }
        if (Refusal(hello, here) is { } refused)
        {
            await _receptions.Drop(volume, new IOException(refused.Error));
            await Say(refused, cancel);
            return;
        }
        if (here?.Snapshots.FirstOrDefault(s => s.Name.Value == hello.Snapshot) is { } known) { await AlreadyHere(volume, known.Identity, hello.Resume, cancel); return; }
        // It waited when the ticket was looked at, and does not any more.
        if (parked is null && admission.Again) { await Reject(TicketDesk.UsedBefore, hello, cancel); return; }
        var usable = hello.Base is not null && (here?.Snapshots.Any(s => s.Name.Value == hello.Base && s.Identity == hello.BaseIdentity) ?? false);
        var reception = parked ?? Begin(hello, admission, usable);
        if (!admission.Again) (reception.Nonce, reception.TicketKept) = (admission.Ticket.Nonce, admission.Kept);
        await Receive(hello, admission, reception, cancel);
    }

    private async Task TellPlace(QueuePlace place, CancellationToken cancel)
    {
        try { await channel.Write(FrameType.Wait, new Wait(place.Place, place.Running, place.Limit), TransferJson.Default.Wait, cancel); }
        catch (Exception e) when (e is LinkBroken or OperationCanceledException or ObjectDisposedException) { /* whoever waits finds out by itself */ }
    }

    private Reception Begin(Hello hello, Admission admission, bool withBase)
    {
        var reception = new Reception(KeyOf(hello, admission), withBase ? hello.Base : null, withBase ? hello.BaseIdentity : null, FormatFor(hello)!.Value, _driver, parts.Time)
        {
            Nonce = admission.Ticket.Nonce, TicketKept = admission.Kept,
        };
        _receptions.Begin(reception);
        return reception;
    }

    private async Task AlreadyHere(VolumeName volume, string identity, bool beats, CancellationToken cancel)
    {
        var began = parts.Time.GetTimestamp();
        // A disk that takes long is no link that is cut.
        await using (beats ? Beating.Begin(channel, parts.Time, cancel) : null) await _driver.Sync(cancel);
        await Say(new Complete(identity, 0, (long)parts.Time.GetElapsedTime(began).TotalMicroseconds), cancel);
        // One that is at its end only now is let come to it.
        await _receptions.Drop(volume, new IOException("the snapshot is here already"));
    }

    private static Refuse? Refusal(Hello hello, ReplicaView? here)
    {
        if (here is null) return null;
        if (here.ForeignTrace is { } foreign) return new(foreign, "operator");
        if (here.Known.Value > hello.Epoch) return new($"epoch {hello.Epoch} of volume {hello.Volume} is past: this node knows epoch {here.Known}", "refused");
        if (here.HasLive && here.Epoch.Value == hello.Epoch) return new($"this node itself is primary of volume {hello.Volume} at epoch {hello.Epoch}", "refused");
        return here.Snapshots.Any(s => s.Name.Value == hello.Snapshot && s.Identity != hello.Identity)
            ? new($"another snapshot called {hello.Snapshot} of volume {hello.Volume} is here already: snapshot names must be unique", "operator") : null;
    }

    private async Task Receive(Hello hello, Admission admission, Reception reception, CancellationToken cancel)
    {
        try
        {
            await channel.Write(FrameType.Accept, new Accept(Ring.Window, reception.Base, reception.Bytes, reception.Bytes > 0 ? reception.Proof : null, reception.Format.Name,
                hello.Compress == Packer.Name ? Packer.Name : null), TransferJson.Default.Accept, cancel);
            Arrived arrived;
            await using (hello.Resume ? Beating.Begin(channel, parts.Time, cancel) : null)
            {
                if (reception.Bytes > 0 && !await GoesOn(reception, cancel))
                {
                    await _receptions.Drop(reception.Key.Volume, new IOException("the sender's stream is another one now"));
                    reception = Begin(hello, admission, reception.Base is not null);
                }
                arrived = await (await ReadData(reception, cancel)).WaitAsync(cancel);
                // Before the sender may stop the app: afterwards it would stand in the way of the last round.
                if (!hello.Urgent) await PrepareNext(hello);
            }
            await Say(new Complete(arrived.Snapshot.Identity, arrived.ReceiveUs, arrived.SyncUs), cancel);
            // A word that was written is not one that was heard: until the sender says so, it may ask again with the same ticket.
            if (hello.Resume && (await channel.ReadHeader(cancel)).Type != FrameType.Done) throw new LinkBroken(new InvalidDataException("the sender did not confirm the end"));
            _receptions.Done(reception);
            parts.Meters?.Received(reception.Bytes);
        }
        catch (Exception e) when (hello.Resume && reception.CanGoOn && e is LinkBroken or OperationCanceledException)
        {
            _receptions.Park(reception);
            throw;
        }
        catch (Exception e)
        {
            var cause = await _receptions.Drop(reception.Key.Volume, e);
            if (e is ReceiverEnded && cause is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(cause);
            throw;
        }
    }

    /// <summary>The app still runs there: what its start here needs and costs time is done now. A failure costs nothing but that time, later.</summary>
    private async Task PrepareNext(Hello hello)
    {
        if (!_driver.Abilities.Ahead) return;
        try
        {
            var outcome = await _driver.Make(new LiveOrder.Ahead(new(hello.Volume), new(hello.Epoch + 1), new(hello.Snapshot)), CancellationToken.None);
            if (!outcome.Ok) parts.Log.LogInformation("{Volume}: nothing is made ready ahead: {Why}", hello.Volume, outcome.Message);
        }
        catch (Exception e) when (e is IOException or System.ComponentModel.Win32Exception or InvalidDataException or UnauthorizedAccessException)
        {
            parts.Log.LogWarning("{Volume}: nothing could be made ready ahead: {Why}", hello.Volume, e.Message);
        }
    }

    /// <summary>The sender has compared what we took with its own stream.</summary>
    private async Task<bool> GoesOn(Reception reception, CancellationToken cancel)
    {
        var header = await channel.ReadHeader(cancel);
        if (header.Type != FrameType.From) throw await Unexpected(header, cancel);
        var from = FrameChannel.Parse(await channel.ReadMessage(header, cancel), TransferJson.Default.From);
        if (from.Offset != 0 && from.Offset != reception.Bytes) throw new InvalidDataException($"the sender goes on at byte {from.Offset}, asked for was {reception.Bytes}");
        parts.Log.LogInformation("move {Move}: {Volume}/{Snapshot} goes on at byte {Offset}", reception.Key.Move, reception.Key.Volume, reception.Key.Snapshot, from.Offset);
        return from.Offset > 0;
    }

    /// <summary>Until the stream is whole; what comes of it then.</summary>
    private async Task<Task<Arrived>> ReadData(Reception reception, CancellationToken cancel)
    {
        long credit = 0, taken = reception.Bytes;
        var credited = new byte[8];
        using var unpacker = new Unpacker();
        while (true)
        {
            var header = await channel.ReadHeader(cancel);
            switch (header.Type)
            {
                case FrameType.Data or FrameType.Packed:
                    await TakePiece(header, reception, unpacker, cancel);
                    (credit, taken) = (credit + reception.Bytes - taken, reception.Bytes);
                    if (credit < CreditStep) break;
                    BinaryPrimitives.WriteInt64BigEndian(credited, credit);
                    await channel.Write(FrameType.Credit, credited, cancel);
                    credit = 0;
                    break;
                case FrameType.End:
                    return reception.Finish(FrameChannel.Parse(await channel.ReadMessage(header, cancel), TransferJson.Default.End));
                default:
                    throw await Unexpected(header, cancel);
            }
        }
    }

    private async Task TakePiece(FrameHeader header, Reception reception, Unpacker unpacker, CancellationToken cancel)
    {
        if (header.Type == FrameType.Data)
        {
            var room = reception.Room(header.Length)[..header.Length];
            await channel.ReadPayload(header, room, cancel);
            await reception.Take(room, cancel);
            return;
        }
        var packed = StreamBuffers.Shared.Rent(header.Length);
        try
        {
            await channel.ReadPayload(header, packed, cancel);
            var length = Unpacker.LengthOf(packed.AsSpan(0, header.Length));
            var room = reception.Room(length)[..length];
            unpacker.Unpack(packed.AsSpan(0, header.Length), room.Span);
            await reception.Take(room, cancel);
        }
        finally { StreamBuffers.Shared.Return(packed); }
    }

    private async Task<Exception> Unexpected(FrameHeader header, CancellationToken cancel) => new InvalidDataException(header.Type == FrameType.Abort
        ? $"the sender gave up: {FrameChannel.Parse(await channel.ReadMessage(header, cancel), TransferJson.Default.Abort).Error}"
        : $"frame {header.Type} has no place among data");

    private async Task<Hello> ReadHello(bool dropBefore, CancellationToken cancel)
    {
        var dropped = dropBefore ? StreamBuffers.Shared.Rent(FrameChannel.MaxData) : [];
        try
        {
            while (true)
            {
                var header = await channel.ReadHeader(cancel);
                if (header.Type == FrameType.Hello) return FrameChannel.Parse(await channel.ReadMessage(header, cancel), TransferJson.Default.Hello);
                // Data of the attempt that was called off is still under way: at most the window.
                if (!dropBefore || header.Type is not (FrameType.Data or FrameType.Packed or FrameType.End)) throw new InvalidDataException($"frame {header.Type} came, a greeting was expected");
                await channel.ReadPayload(header, dropped, cancel);
            }
        }
        finally { if (dropBefore) StreamBuffers.Shared.Return(dropped); }
    }

    private Task Say(Refuse refuse, CancellationToken cancel)
    {
        parts.Meters?.Refused();
        return channel.Write(FrameType.Refuse, refuse, TransferJson.Default.Refuse, cancel);
    }

    private Task Say(Complete complete, CancellationToken cancel) => channel.Write(FrameType.Complete, complete, TransferJson.Default.Complete, cancel);
}
