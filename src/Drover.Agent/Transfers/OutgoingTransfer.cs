using System.Buffers;
using System.Buffers.Binary;
using System.IO.Hashing;
using System.Net.Security;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.Agent.Transfers;

/// <summary>What is to be sent on one connection.</summary>
internal sealed record Outgoing(SendRound Round, string Move, RoundVolume Volume, SnapshotView Snapshot, RateLimit Limit, Action<StepProgress> Progress);

internal readonly record struct Sent(long Bytes, long SyncUs);

/// <summary>The sending side of one connection.</summary>
internal sealed class OutgoingTransfer(SslStream tls) : IAsyncDisposable
{
    private static readonly TimeSpan DialTime = TimeSpan.FromSeconds(10), ProgressEvery = TimeSpan.FromMilliseconds(250);
    private readonly FrameChannel _channel = new(tls);

    public static async Task<OutgoingTransfer> Dial(SendRound round, ClusterIdentity identity, TimeProvider time, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(DialTime, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        SslStream? tls = null;
        try
        {
            tls = new SslStream(await Wire.Dial(round.TargetAddress, round.TargetPort, round.Final, both.Token));
            await tls.AuthenticateAsClientAsync(identity.Client(round.TargetNode), both.Token);
            return new(tls);
        }
        catch (Exception e)
        {
            if (tls is not null) await tls.DisposeAsync();
            if (limit.IsCancellationRequested && e is OperationCanceledException)
                throw new IOException($"no answer from {round.TargetAddress}:{round.TargetPort} within {DialTime.TotalSeconds} s", e);
            throw;
        }
    }

    public async Task<Sent> Send(Outgoing what, SnapshotView? basis, IVolumeDriver driver, TimeProvider time, CancellationToken cancel)
    {
        var sent = await Attempt(what, basis, driver, time, cancel);
        // The target has the base by name, but btrfs could not use it: once more with everything.
        return sent ?? await Attempt(what, null, driver, time, cancel) ?? throw new InvalidDataException("the target asked twice to begin again");
    }

    /// <summary>Null when the target asks to begin again with everything.</summary>
    private async Task<Sent?> Attempt(Outgoing what, SnapshotView? basis, IVolumeDriver driver, TimeProvider time, CancellationToken cancel)
    {
        var volume = what.Volume;
        await _channel.Write(FrameType.Hello, new Hello(IncomingTransfer.ProtocolVersion, volume.Ticket, volume.Name, volume.Snapshot, what.Snapshot.Identity,
            basis?.Name.Value, basis?.Identity, driver.Name, volume.Epoch), TransferJson.Default.Hello, cancel);
        var header = await _channel.ReadHeader(cancel);
        if (header.Type != FrameType.Accept) return new(0, (await Ending(header, what, cancel) ?? throw Unexpected(header)).SyncUs);
        var accept = FrameChannel.Parse(await _channel.ReadMessage(header, cancel), TransferJson.Default.Accept);
        var credit = new Credit();
        credit.Set(accept.Credit);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var listening = Listen(what, credit, cancel);
        var pumping = Pump(what, accept.Base is null ? null : new SnapshotName(accept.Base), driver, credit, time, stop.Token, cancel);
        if (await Task.WhenAny(listening, pumping) == listening)
        {
            // The target has said its last word before we were done: stop between two frames, so that the connection stays usable.
            await stop.CancelAsync();
            long? whole = null;
            try { whole = await pumping; }
            catch (Exception e) when (e is OperationCanceledException or IOException) { /* the target's word below is the reason */ }
            if (await listening is not { } early) return null;
            // After a short stream its answer may come before we noticed that our END had gone out.
            return whole is { } sent ? new Sent(sent, early.SyncUs) : throw new InvalidDataException("the target called the snapshot complete before it was sent");
        }
        try
        {
            var bytes = await pumping;
            return await listening is { } complete ? new Sent(bytes, complete.SyncUs) : null;
        }
        catch (ConnectionBroken)
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

    private async Task<long> Pump(Outgoing what, SnapshotName? basis, IVolumeDriver driver, Credit credit, TimeProvider time, CancellationToken stop, CancellationToken cancel)
    {
        var ring = Ring.New();
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var sending = Task.Run(() => driver.Send(new(what.Volume.Name), new(what.Volume.Snapshot), basis, StreamFormat.BtrfsSend1, ring.Writer, ending.Token), CancellationToken.None);
        var hash = new XxHash128();
        var report = new Report(what, time);
        try
        {
            while (true)
            {
                var read = await ring.Reader.ReadAsync(stop);
                if (read.Buffer.IsEmpty && read.IsCompleted) break;
                var size = await credit.Take((int)Math.Min(read.Buffer.Length, what.Limit.Piece), stop);
                await what.Limit.Take(size, stop);
                read.Buffer.Slice(0, size).CopyTo(_channel.DataRoom.Span);
                ring.Reader.AdvanceTo(read.Buffer.GetPosition(size));
                hash.Append(_channel.DataRoom.Span[..size]);
                await Write(size, cancel);
                report.Add(size);
            }
            // Only a send that ended well makes its stream a whole one.
            await sending;
            await _channel.Write(FrameType.End, new End(report.Bytes, Convert.ToHexStringLower(hash.GetCurrentHash())), TransferJson.Default.End, cancel);
            report.Done();
            return report.Bytes;
        }
        finally
        {
            await ending.CancelAsync();
            await ring.Reader.CompleteAsync();
            try { await sending; }
            catch (Exception e) when (e is OperationCanceledException or IOException or Host.HostCommandFailed or BaseUnusable or InvalidOperationException) { /* came out of the ring above, or is the end we asked for */ }
        }
    }

    private async Task Write(int size, CancellationToken cancel)
    {
        try { await _channel.WriteData(size, cancel); }
        catch (IOException e) { throw new ConnectionBroken(e); }
    }

    /// <summary>Until the target's last word. Null: it asks to begin again.</summary>
    private async Task<Complete?> Listen(Outgoing what, Credit credit, CancellationToken cancel)
    {
        while (true)
        {
            var header = await _channel.ReadHeader(cancel);
            if (header.Type != FrameType.Credit) return await Ending(header, what, cancel);
            credit.Grant(BinaryPrimitives.ReadInt64BigEndian(await _channel.ReadMessage(header, cancel)));
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
                return complete.Identity == what.Snapshot.Identity ? complete
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

    private sealed class ConnectionBroken(IOException cause) : IOException(cause.Message, cause);

    /// <summary>Progress of one volume, at most four times a second and once at the end.</summary>
    private sealed class Report(Outgoing what, TimeProvider time)
    {
        private readonly long _began = time.GetTimestamp();
        private long _last = time.GetTimestamp();

        public long Bytes { get; private set; }

        public void Add(int bytes)
        {
            Bytes += bytes;
            var now = time.GetTimestamp();
            if (time.GetElapsedTime(_last, now) < ProgressEvery) return;
            _last = now;
            Say("sending");
        }

        public void Done() => Say("waiting until the target has it on disk");

        private void Say(string doing)
        {
            var seconds = time.GetElapsedTime(_began).TotalSeconds;
            what.Progress(new() { MoveId = what.Move, Volume = what.Volume.Name, Round = what.Round.Number, Bytes = Bytes, BytesPerSecond = seconds > 0 ? (long)(Bytes / seconds) : 0, Doing = doing });
        }
    }
}
