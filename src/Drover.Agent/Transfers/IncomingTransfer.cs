using System.Buffers;
using System.Buffers.Binary;
using System.IO.Hashing;
using System.IO.Pipelines;
using Drover.Agent.Volumes;
using Drover.Core;

namespace Drover.Agent.Transfers;

/// <summary>The receiving side of one connection, after the handshake.</summary>
internal sealed class IncomingTransfer(FrameChannel channel, string peer, IVolumeDriver driver, TicketDesk desk, VolumeTurns turns, TimeProvider time, ILogger log)
{
    public const int ProtocolVersion = 1;
    private const int CreditStep = 1024 * 1024;

    public async Task Run(CancellationToken cancel)
    {
        var hello = await ReadHello(dropBefore: false, cancel);
        if (Check(hello, out var ticket) is { } refused) { await Say(refused, cancel); return; }
        using var turn = await turns.Take(new VolumeName(hello.Volume), cancel);
        log.LogInformation("move {Move}: receiving {Volume}/{Snapshot} from {Peer}, base {Base}", ticket!.Move, hello.Volume, hello.Snapshot, peer, hello.Base ?? "none");
        while (true)
        {
            try
            {
                await Answer(hello, turn.Cancelled);
                return;
            }
            catch (BaseUnusable e) when (hello.Base is not null)
            {
                log.LogWarning("move {Move}: {Volume}/{Snapshot} is sent again in full: {Why}", ticket.Move, hello.Volume, hello.Snapshot, e.Message);
                await channel.Write(FrameType.Restart, new Abort(e.Message, "retry"), TransferJson.Default.Abort, turn.Cancelled);
                var again = await ReadHello(dropBefore: true, turn.Cancelled);
                // One ticket, one snapshot: the second greeting may differ in nothing but the base, which is gone.
                if (again != hello with { Base = null, BaseIdentity = null }) { await Say(new Refuse("the second greeting is about something else", "refused"), turn.Cancelled); return; }
                hello = again;
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                log.LogWarning("move {Move}: {Volume}/{Snapshot} from {Peer} failed, what arrived is dropped: {Why}", ticket.Move, hello.Volume, hello.Snapshot, peer, e.Message);
                var kind = e is InvalidDataException or EndOfStreamException or IOException or BaseUnusable ? "retry" : "operator";
                await channel.Write(FrameType.Abort, new Abort(e.Message, kind), TransferJson.Default.Abort, cancel);
                return;
            }
        }
    }

    private Refuse? Check(Hello hello, out Ticket? ticket)
    {
        ticket = null;
        if (hello.Version != ProtocolVersion) return new($"protocol version {hello.Version} is not {ProtocolVersion}: bring both agents to one version", "operator");
        if (hello.Driver != driver.Name) return new($"driver {hello.Driver} cannot be received by {driver.Name}: move between pools of one kind", "operator");
        return desk.Check(hello, peer, out ticket);
    }

    private async Task Answer(Hello hello, CancellationToken cancel)
    {
        var here = await driver.Inspect(new VolumeName(hello.Volume), cancel);
        if (Refusal(hello, here) is { } refused) { await Say(refused, cancel); return; }
        if (here?.Snapshots.FirstOrDefault(s => s.Name.Value == hello.Snapshot) is { } known)
        {
            var began = time.GetTimestamp();
            await driver.Sync(cancel);
            await Say(new Complete(known.Identity, 0, Microseconds(began)), cancel);
            return;
        }
        var basis = hello.Base is not null && (here?.Snapshots.Any(s => s.Name.Value == hello.Base && s.Identity == hello.BaseIdentity) ?? false) ? hello.Base : null;
        await channel.Write(FrameType.Accept, new Accept(Ring.Window, basis), TransferJson.Default.Accept, cancel);
        await Receive(hello, basis, cancel);
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

    private async Task Receive(Hello hello, string? basis, CancellationToken cancel)
    {
        var began = time.GetTimestamp();
        var ring = Ring.New();
        // The driver must end before the volume's turn does: so it stops by its stream failing, and by nothing else.
        var receiving = driver.Receive(new(hello.Volume), new(hello.Snapshot), basis is null ? null : new SnapshotName(basis), StreamFormat.BtrfsSend1, ring.Reader, CancellationToken.None);
        try
        {
            await ReadData(ring.Writer, cancel);
            await ring.Writer.CompleteAsync();
        }
        catch (Exception e)
        {
            await ring.Writer.CompleteAsync(e);
            if (await Dropped(receiving) is { } cause && e is ReceiverEnded) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(cause);
            throw;
        }
        await using var incoming = await receiving;
        var received = Microseconds(began);
        if (incoming.Identity != hello.Identity) throw new InvalidDataException($"snapshot {hello.Identity} was announced, {incoming.Identity} came");
        began = time.GetTimestamp();
        // Verified, renamed into place and synced: a target that has not synced pays for it in the middle of the cutover.
        var snapshot = await incoming.Accept(cancel);
        await Say(new Complete(snapshot.Identity, received, Microseconds(began)), cancel);
    }

    private async Task ReadData(PipeWriter to, CancellationToken cancel)
    {
        var hash = new XxHash128();
        long bytes = 0, credit = 0;
        var credited = new byte[8];
        while (true)
        {
            var header = await channel.ReadHeader(cancel);
            switch (header.Type)
            {
                case FrameType.Data:
                    var room = to.GetMemory(FrameChannel.MaxData);
                    await channel.ReadPayload(header, room, cancel);
                    hash.Append(room.Span[..header.Length]);
                    to.Advance(header.Length);
                    bytes += header.Length;
                    if ((await to.FlushAsync(cancel)).IsCompleted) throw new ReceiverEnded();
                    if ((credit += header.Length) < CreditStep) break;
                    BinaryPrimitives.WriteInt64BigEndian(credited, credit);
                    await channel.Write(FrameType.Credit, credited, cancel);
                    credit = 0;
                    break;
                case FrameType.End:
                    var end = FrameChannel.Parse(await channel.ReadMessage(header, cancel), TransferJson.Default.End);
                    if (end.Bytes != bytes || end.Xxh128 != Convert.ToHexStringLower(hash.GetCurrentHash()))
                        throw new InvalidDataException($"the stream is not what was sent: {bytes} bytes came, {end.Bytes} were sent, or their hashes differ");
                    return;
                case FrameType.Abort:
                    throw new InvalidDataException($"the sender gave up: {FrameChannel.Parse(await channel.ReadMessage(header, cancel), TransferJson.Default.Abort).Error}");
                default:
                    throw new InvalidDataException($"frame {header.Type} has no place among data");
            }
        }
    }

    private async Task<Hello> ReadHello(bool dropBefore, CancellationToken cancel)
    {
        var dropped = dropBefore ? ArrayPool<byte>.Shared.Rent(FrameChannel.MaxData) : [];
        try
        {
            while (true)
            {
                var header = await channel.ReadHeader(cancel);
                if (header.Type == FrameType.Hello) return FrameChannel.Parse(await channel.ReadMessage(header, cancel), TransferJson.Default.Hello);
                // Data of the attempt that was called off is still under way: at most the window.
                if (!dropBefore || header.Type is not (FrameType.Data or FrameType.End)) throw new InvalidDataException($"frame {header.Type} came, a greeting was expected");
                await channel.ReadPayload(header, dropped, cancel);
            }
        }
        finally { if (dropBefore) ArrayPool<byte>.Shared.Return(dropped); }
    }

    private static async Task<Exception?> Dropped(Task<IIncoming> receiving)
    {
        try
        {
            await using var whole = await receiving;
            return null;
        }
        catch (Exception e) { return e; }
    }

    private Task Say(Refuse refuse, CancellationToken cancel) => channel.Write(FrameType.Refuse, refuse, TransferJson.Default.Refuse, cancel);

    private Task Say(Complete complete, CancellationToken cancel) => channel.Write(FrameType.Complete, complete, TransferJson.Default.Complete, cancel);

    private long Microseconds(long since) => (long)time.GetElapsedTime(since).TotalMicroseconds;

    /// <summary>The driver stopped reading; its own exception says why.</summary>
    private sealed class ReceiverEnded() : IOException("the receiving program ended before the stream did");
}
