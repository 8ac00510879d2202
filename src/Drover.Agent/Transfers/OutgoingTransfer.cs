using System.Buffers.Binary;
using System.Net.Security;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Contracts.Hosting;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.Agent.Transfers;

/// <summary>What is to be sent, and how far that has come: over as many connections as it takes.</summary>
internal sealed record Outgoing(SendRound Round, string Move, RoundVolume Volume, SnapshotView Snapshot, RateLimit Limit, RateLimit? NodeLimit, Action<StepProgress> Progress) : IAsyncDisposable
{
    /// <summary>Offered to the target; null once it could not use it.</summary>
    public SnapshotView? Basis { get; set; }
    /// <summary>The driver's stream, while there is one.</summary>
    public OutStream? Stream { get; set; }
    /// <summary>The target has accepted it once: a connection that breaks may be followed by another.</summary>
    public bool Accepted { get; set; }
    /// <summary>Bytes of the stream that the target had from an earlier step.</summary>
    public long Resumed { get; set; }
    /// <summary>Bytes of the stream written to connections, those written twice counted twice.</summary>
    public long Written { get; set; }
    /// <summary>The same as payload on the wire.</summary>
    public long Wire { get; set; }
    public int Redials { get; set; }
    /// <summary>Offset up to which the target has the stream.</summary>
    public long Confirmed { get; set; }

    /// <summary>Largest piece to send at once under both limits.</summary>
    public int Piece => Math.Min(Limit.Piece, NodeLimit?.Piece ?? int.MaxValue);

    public void Say(string doing, long bytes = 0, long bytesPerSecond = 0) =>
        Progress(new() { MoveId = Move, Volume = Volume.Name, Round = Round.Number, Bytes = bytes, BytesPerSecond = bytesPerSecond, Doing = doing });

    public async ValueTask NewStream(OutStream? stream)
    {
        if (Stream is { } old) await old.DisposeAsync();
        Stream = stream;
    }

    public ValueTask DisposeAsync() => NewStream(null);
}

internal readonly record struct Sent(long Bytes, long SyncUs);

/// <summary>The sending side of one connection.</summary>
internal sealed class OutgoingTransfer(SslStream tls) : IAsyncDisposable
{
    private static readonly TimeSpan DialTime = TimeSpan.FromSeconds(8), UrgentDialTime = TimeSpan.FromSeconds(3), ProgressEvery = TimeSpan.FromMilliseconds(250);
    private readonly FrameChannel _channel = new(tls);
    /// <summary>Offset in the stream of what went out over this connection.</summary>
    private long _sent;

    public static Task<OutgoingTransfer> Dial(SendRound round, ClusterIdentity identity, TimeProvider time, CancellationToken cancel) =>
        Dial(round, identity, time, round.Final ? UrgentDialTime : DialTime, cancel);

    public static async Task<OutgoingTransfer> Dial(SendRound round, ClusterIdentity identity, TimeProvider time, TimeSpan within, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(within, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        SslStream? tls = null;
        try
        {
            var wide = new WideStream(await Wire.Dial(round.TargetAddress, round.TargetPort, round.Final, both.Token));
            tls = new SslStream(wide);
            await tls.AuthenticateAsClientAsync(identity.Client(round.TargetNode), both.Token);
            wide.HoldWrites = true;
            return new(tls);
        }
        catch (Exception e)
        {
            if (tls is not null) await tls.DisposeAsync();
            if (limit.IsCancellationRequested && e is OperationCanceledException)
                throw new TargetSilent($"no answer from {round.TargetAddress}:{round.TargetPort} within {within.TotalSeconds:0.#} s", e);
            throw;
        }
    }

    /// <exception cref="LinkBroken">Another connection may go on.</exception>
    public async Task<Sent> Send(Outgoing what, IVolumeDriver driver, TimeProvider time, CancellationToken cancel)
    {
        var sent = await Whole(what, driver, time, cancel);
        // We know that it is there. Until the target knows that we know, our ticket is still good for asking.
        try { await _channel.Write(FrameType.Done, ReadOnlyMemory<byte>.Empty, cancel); }
        catch (LinkBroken) { /* then it waits for us in vain, for a while */ }
        return sent;
    }

    private async Task<Sent> Whole(Outgoing what, IVolumeDriver driver, TimeProvider time, CancellationToken cancel)
    {
        if (await Attempt(what, driver, time, cancel) is { } sent) return sent;
        // The target has the base by name, but could not use it: once more with everything.
        what.Basis = null;
        await what.NewStream(null);
        return await Attempt(what, driver, time, cancel) ?? throw new InvalidDataException("the target asked twice to begin again");
    }

    /// <summary>Null when the target asks to begin again with everything.</summary>
    private async Task<Sent?> Attempt(Outgoing what, IVolumeDriver driver, TimeProvider time, CancellationToken cancel)
    {
        var volume = what.Volume;
        await _channel.Write(FrameType.Hello, new Hello(IncomingTransfer.ProtocolVersion, volume.Ticket, volume.Name, volume.Snapshot, what.Snapshot.Identity,
            what.Basis?.Name.Value, what.Basis?.Identity, driver.Name, volume.Epoch, Resume: true, what.Round.Final, Packer.Name, [.. driver.Abilities.Formats.Select(f => f.Name)], System.Diagnostics.Activity.Current?.Id), TransferJson.Default.Hello, cancel);
        var header = await _channel.ReadHeader(cancel);
        for (; header.Type == FrameType.Wait; header = await _channel.ReadHeader(cancel))
        {
            var wait = FrameChannel.Parse(await _channel.ReadMessage(header, cancel), TransferJson.Default.Wait);
            // One of limit zero only says that it is there.
            if (wait.Limit > 0) what.Say($"node {what.Round.TargetNode} has no place yet: {new QueuePlace(wait.Place, wait.Running, wait.Limit)}");
        }
        if (header.Type != FrameType.Accept) return new(what.Stream?.Length ?? 0, (await Ending(header, what, cancel) ?? throw Unexpected(header)).SyncUs);
        var accept = FrameChannel.Parse(await _channel.ReadMessage(header, cancel), TransferJson.Default.Accept);
        var from = await PlaceStream(what, accept, driver, cancel);
        var credit = new Credit();
        credit.Set(accept.Credit);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        what.Confirmed = _sent = from;
        var listening = Listen(what, credit, time, cancel);
        var pumping = Pump(what, credit, accept.Compress == Packer.Name, time, stop.Token, cancel);
        if (await Task.WhenAny(listening, pumping) == listening) return await Early(what, listening, pumping, stop);
        try
        {
            var bytes = await pumping;
            if (what.Round.Final && Failpoints.Bends("retire-early"))
                await driver.Remove(new(volume.Name), new Removal([], true, new(volume.Epoch + 1), Everything: true), cancel);
            return await listening is { } complete ? new Sent(bytes, complete.SyncUs) : null;
        }
        catch (LinkBroken)
        {
            // What the target said before the connection broke tells more than the broken pipe.
            await listening;
            throw;
        }
        catch (Exception e) when (!listening.IsCompleted && e is not OperationCanceledException)
        {
            await GiveUp(e, cancel);
            throw;
        }
    }

    /// <summary>The target has said its last word before we were done: stop between two frames, so that the connection stays usable.</summary>
    private async Task<Sent?> Early(Outgoing what, Task<Complete?> listening, Task<long> pumping, CancellationTokenSource stop)
    {
        await stop.CancelAsync();
        // Nothing more will be said on it: a piece that waits to go out must not wait until the kernel gives up.
        if (listening is { IsFaulted: true, Exception.InnerException: LinkBroken }) await tls.DisposeAsync();
        long? whole = null;
        try { whole = await pumping; }
        catch (Exception e) when (e is OperationCanceledException or IOException or ObjectDisposedException) { /* the target's word below is the reason */ }
        if (await listening is not { } early) return null;
        // After a short stream its answer may come before we noticed that our END had gone out.
        return whole is { } sent ? new Sent(sent, early.SyncUs) : throw new InvalidDataException($"the target called snapshot {what.Volume.Snapshot} complete before it was sent");
    }

    /// <summary>
    /// Puts the stream where the target is, and tells it so. The driver that still sends goes on; else it sends again from the beginning, and what the target
    /// has is only compared: the same two snapshots make the same stream. Where it does not agree, everything goes once more.
    /// </summary>
    private async Task<long> PlaceStream(Outgoing what, Accept accept, IVolumeDriver driver, CancellationToken cancel)
    {
        // Checked before anything starts: what the target says decides what runs here.
        var format = new StreamFormat(accept.Format ?? StreamFormat.BtrfsSend1.Name);
        driver.Abilities.Require(format, driver.Name);
        OutStream Anew() => new(driver, new(what.Volume.Name), new(what.Volume.Snapshot), accept.Base is null ? null : new SnapshotName(accept.Base), format);
        var first = !what.Accepted;
        what.Accepted = true;
        var offset = accept.Offset;
        if (what.Stream is null || what.Stream.Base != accept.Base || what.Stream.Format != format || !what.Stream.GoBackTo(offset, accept.Proof))
        {
            await what.NewStream(Anew());
            if (offset > 0 && !await what.Stream!.Skip(offset, accept.Proof, cancel))
            {
                await what.NewStream(Anew());
                offset = 0;
            }
        }
        if (accept.Offset > 0) await _channel.Write(FrameType.From, new From(offset), TransferJson.Default.From, cancel);
        if (first) what.Resumed = offset;
        return offset;
    }

    private async Task<long> Pump(Outgoing what, Credit credit, bool mayPack, TimeProvider time, CancellationToken stop, CancellationToken cancel)
    {
        var stream = what.Stream!;
        var report = new Report(what, time, what.Confirmed);
        foreach (var kept in stream.Unconfirmed())
        {
            await credit.TakeAll(kept.Bytes, stop);
            await Write(what, kept, report, cancel);
        }
        using var packer = mayPack ? new Packer(time) : null;
        while (await stream.Ready(stop) is > 0 and var ready)
        {
            var began = time.GetTimestamp();
            var size = await credit.Take(Math.Min(ready, what.Piece), stop);
            var waited = time.GetElapsedTime(began);
            var chunk = stream.Take(size, packer?.Choice.Next() == true ? packer : null);
            began = time.GetTimestamp();
            await Write(what, chunk, report, cancel);
            packer?.Choice.Sent(chunk.FrameLength, waited + time.GetElapsedTime(began));
        }
        await _channel.Write(FrameType.End, new End(stream.Length, stream.Proof), TransferJson.Default.End, cancel);
        report.Done();
        return stream.Length;
    }

    private async Task Write(Outgoing what, Chunk chunk, Report report, CancellationToken cancel)
    {
        await what.Limit.Take(chunk.FrameLength, cancel);
        if (what.NodeLimit is { } node) await node.Take(chunk.FrameLength, cancel);
        what.Written += chunk.Bytes;
        what.Wire += chunk.FrameLength;
        var frame = chunk.Frame.AsMemory(0, chunk.FrameLength);
        if (Failpoints.BendsOnce("corrupt-frame"))
        {
            frame = frame.ToArray(); // the kept one stays whole
            frame.Span[frame.Length / 2] ^= 1;
        }
        await _channel.WriteSealed(frame, cancel);
        Failpoints.Reach(what.Round.Final ? "Final.sending" : "Seed.sending");
        Volatile.Write(ref _sent, chunk.End);
        report.Add(chunk.Bytes);
    }

    /// <summary>Until the target's last word. Null: it asks to begin again.</summary>
    /// <exception cref="LinkBroken">The target was heard regularly and is not any more.</exception>
    private async Task<Complete?> Listen(Outgoing what, Credit credit, TimeProvider time, CancellationToken cancel)
    {
        using var silence = new Silence(what.Round.Final, time, cancel);
        try { return await Listen(what, credit, silence, silence.Token); }
        catch (OperationCanceledException) when (silence.Fell && !cancel.IsCancellationRequested)
        {
            throw new LinkBroken(new IOException($"nothing was heard from node {what.Round.TargetNode} for {silence.Limit.TotalSeconds:0} s"));
        }
    }

    private async Task<Complete?> Listen(Outgoing what, Credit credit, Silence silence, CancellationToken cancel)
    {
        while (true)
        {
            var header = await _channel.ReadHeader(cancel);
            if (header.Type is not (FrameType.Credit or FrameType.Wait)) return await Ending(header, what, cancel);
            var payload = await _channel.ReadMessage(header, cancel);
            silence.Heard(header.Type);
            if (header.Type == FrameType.Wait) continue; // a sign of life, or crossed with ACCEPT
            if (payload.Length != sizeof(long) || BinaryPrimitives.ReadInt64BigEndian(payload) is not (> 0 and <= Ring.Bytes and var granted)) throw new InvalidDataException("a credit of the target cannot be");
            // Never what has not gone out: its buffer would be used again while it is being written.
            what.Confirmed = Math.Min(what.Confirmed + granted, Volatile.Read(ref _sent));
            what.Stream?.Confirm(what.Confirmed);
            credit.Grant(granted);
        }
    }

    private async Task<Complete?> Ending(FrameHeader header, Outgoing what, CancellationToken cancel)
    {
        if (header.Type == FrameType.Data) throw Unexpected(header);
        var payload = await _channel.ReadMessage(header, cancel);
        switch (header.Type)
        {
            case FrameType.Restart: return null;
            case FrameType.Refuse:
                var refuse = FrameChannel.Parse(payload, TransferJson.Default.Refuse);
                throw new RoundFailed(Kind(refuse.Kind), $"node {what.Round.TargetNode} refused {what.Volume.Name}/{what.Volume.Snapshot}: {refuse.Error}");
            case FrameType.Abort:
                var abort = FrameChannel.Parse(payload, TransferJson.Default.Abort);
                throw new RoundFailed(Kind(abort.Kind), $"node {what.Round.TargetNode} could not receive {what.Volume.Name}/{what.Volume.Snapshot}: {abort.Error}");
            case FrameType.Complete:
                var complete = FrameChannel.Parse(payload, TransferJson.Default.Complete);
                return complete.Identity == what.Snapshot.Identity || Failpoints.Bends("no-verification") ? complete
                    : throw new RoundFailed(StepErrorKind.Operator, $"node {what.Round.TargetNode} has {complete.Identity} as {what.Volume.Snapshot}, sent was {what.Snapshot.Identity}");
            default: throw Unexpected(header);
        }
    }

    /// <summary>Tells the target why; a connection that is broken already need not be told.</summary>
    private async Task GiveUp(Exception why, CancellationToken cancel)
    {
        try { await _channel.Write(FrameType.Abort, new Abort(why.Message, "retry"), TransferJson.Default.Abort, cancel); }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException) { /* the target sees the connection close */ }
    }

    private static StepErrorKind Kind(string kind) => kind switch { "retry" => StepErrorKind.Retry, "refused" => StepErrorKind.Refused, _ => StepErrorKind.Operator };

    private static InvalidDataException Unexpected(FrameHeader header) => new($"frame {header.Type} has no place here");

    public async ValueTask DisposeAsync()
    {
        await tls.DisposeAsync();
        _channel.Dispose();
    }

    /// <summary>Progress of one volume, at most four times a second and once at the end.</summary>
    private sealed class Report(Outgoing what, TimeProvider time, long from)
    {
        private readonly long _began = time.GetTimestamp();
        private long _last = time.GetTimestamp();

        private long _sent;

        public void Add(int bytes)
        {
            _sent += bytes;
            var now = time.GetTimestamp();
            if (time.GetElapsedTime(_last, now) < ProgressEvery) return;
            _last = now;
            Say("sending");
        }

        public void Done() => Say("waiting until the target has it on disk");

        private void Say(string doing)
        {
            var seconds = time.GetElapsedTime(_began).TotalSeconds;
            what.Say(doing, from + _sent, seconds > 0 ? (long)(_sent / seconds) : 0);
        }
    }
}
