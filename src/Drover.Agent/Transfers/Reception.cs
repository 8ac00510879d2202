using System.IO.Hashing;
using System.IO.Pipelines;
using Drover.Agent.Volumes;
using Drover.Contracts.Hosting;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.Agent.Transfers;

/// <summary>What must agree for a connection to go on where another one broke off.</summary>
internal sealed record ReceptionKey(string Peer, string Move, VolumeName Volume, long Epoch, SnapshotName Snapshot, string Identity)
{
    public static ReceptionKey Of(Hello hello, Ticket ticket, string peer) => new(peer, ticket.Move, new(hello.Volume), hello.Epoch, new(hello.Snapshot), hello.Identity);
}

internal readonly record struct Arrived(SnapshotView Snapshot, long ReceiveUs, long SyncUs);

/// <summary>One snapshot that is arriving: the driver's receive with its pipe. It outlives the connection that brought its first bytes.</summary>
internal sealed class Reception(ReceptionKey key, string? basis, string? basisIdentity, StreamFormat format, IVolumeDriver driver, TimeProvider time)
{
    private readonly long _began = time.GetTimestamp();
    private readonly XxHash128 _hash = new();
    private readonly Pipe _ring = Ring.New();
    private readonly Lock _gate = new();
    private long _lookAt = SpaceReserve.FirstLook;
    private long? _freeAtFirst;
    private Task<IIncoming>? _receiving;
    private Task<Arrived>? _finishing;
    private Task<Exception?>? _dropping;

    public ReceptionKey Key => key;
    public string? Base => basis;
    public string? BaseIdentity => basisIdentity;
    public StreamFormat Format => format;
    /// <summary>Of the ticket that brought it here last.</summary>
    public required string Nonce { get; set; }
    /// <summary>Settled when that ticket is known on disk as used: nothing becomes visible before.</summary>
    public required Task TicketKept { get; set; }
    /// <summary>Bytes that are in the driver's pipe or beyond.</summary>
    public long Bytes { get; private set; }

    public string Proof => Convert.ToHexStringLower(_hash.GetCurrentHash());

    /// <summary>False when the driver's receive has failed or ended before its stream did: nothing more can be given to it.</summary>
    public bool CanGoOn => _finishing is { IsFaulted: false } || _receiving is null or { IsCompleted: false };

    /// <summary>The driver must end before the volume's turn does: so it stops by its stream failing, and by nothing else.</summary>
    public void Begin() => _receiving = driver.Receive(key.Volume, key.Snapshot, basis is null ? null : new SnapshotName(basis), format, _ring.Reader, CancellationToken.None);

    /// <summary>Room for so many bytes of the stream; not part of it before <see cref="Take"/>.</summary>
    public Memory<byte> Room(int length) => _ring.Writer.GetMemory(Math.Max(length, 1));

    /// <summary>Adds what lies in the room. Waits while the ring is full: what is taken counts as taken, also when the wait is called off.</summary>
    /// <exception cref="ReceiverEnded">The driver stopped reading.</exception>
    public async ValueTask Take(Memory<byte> data, CancellationToken cancel)
    {
        _hash.Append(data.Span);
        _ring.Writer.Advance(data.Length);
        Bytes += data.Length;
        if ((await _ring.Writer.FlushAsync(cancel)).IsCompleted) throw new ReceiverEnded();
        if (Failpoints.BendsOnce("receive-dies"))
        {
            await _ring.Writer.CompleteAsync(new IOException("the receiving program was killed"));
            throw new ReceiverEnded();
        }
        if (Bytes >= _lookAt) await LookAtSpace(cancel);
    }

    /// <summary>A copy-on-write pool that is really full cannot even delete: what arrives stops before.</summary>
    private async Task LookAtSpace(CancellationToken cancel)
    {
        var space = await driver.Space(cancel);
        var reserve = SpaceReserve.Of(space.Total);
        _lookAt = Bytes + SpaceReserve.LookEvery(reserve);
        _freeAtFirst ??= space.Free.Bytes + Bytes;
        if (Math.Min(space.Free.Bytes, _freeAtFirst.Value - Bytes) >= reserve.Bytes) return;
        // What is not on disk yet may not be counted as used, and what the pool compresses takes less than came: near the end only a sync tells.
        await driver.Sync(cancel);
        space = await driver.Space(cancel);
        if (space.Free < reserve) throw new PoolNearlyFull($"its pool has {space.Free} free and {reserve} are kept in reserve: free space there, or move elsewhere");
    }

    /// <summary>The whole stream is here: verified, renamed into place and synced. Repeatable; goes on when whoever waits for it goes away.</summary>
    /// <exception cref="InvalidDataException">It is not what was sent.</exception>
    public Task<Arrived> Finish(End end)
    {
        if (end.Bytes != Bytes || end.Xxh128 != Proof)
            throw new InvalidDataException($"the stream is not what was sent: {Bytes} bytes came, {end.Bytes} were sent, or their hashes differ");
        lock (_gate) return _finishing ??= Finishing();
    }

    private async Task<Arrived> Finishing()
    {
        await _ring.Writer.CompleteAsync();
        await using var incoming = await _receiving!;
        var received = Microseconds(_began);
        Failpoints.Reach(key.Snapshot.Value.EndsWith("-f", StringComparison.Ordinal) ? "Final.received" : "Seed.received");
        if (incoming.Identity != key.Identity && !Failpoints.Bends("no-verification")) throw new InvalidDataException($"snapshot {key.Identity} was announced, {incoming.Identity} came");
        await TicketKept;
        var began = time.GetTimestamp();
        // Verified, renamed into place and synced: a target that has not synced pays for it in the middle of the cutover.
        var snapshot = await incoming.Accept(CancellationToken.None);
        return new(snapshot, received, Microseconds(began));
    }

    /// <summary>Ends the driver's receive and waits until nothing of it is left. One that is whole already is let come to its end. What the driver failed of, if it did.</summary>
    public Task<Exception?> Drop(Exception why)
    {
        lock (_gate) return _dropping ??= Dropping(why);
    }

    private async Task<Exception?> Dropping(Exception why)
    {
        try
        {
            if (_finishing is { } finishing) await finishing;
            else if (_receiving is { } receiving)
            {
                await _ring.Writer.CompleteAsync(why);
                await using var whole = await receiving;
            }
            return null;
        }
        catch (Exception e) { return e; }
    }

    private long Microseconds(long since) => (long)time.GetElapsedTime(since).TotalMicroseconds;
}

/// <summary>The driver stopped reading; its own exception says why.</summary>
internal sealed class ReceiverEnded() : IOException("the receiving program ended before the stream did");

/// <summary>The pool would be full before the stream ends. Nothing of it is left.</summary>
internal sealed class PoolNearlyFull(string message) : Exception(message);

/// <summary>Space that a receive leaves free, for what else the node has to write.</summary>
internal static class SpaceReserve
{
    private const long MiB = 1 << 20;

    /// <summary>A small last round is not stopped by a pool that is nearly full.</summary>
    public const long FirstLook = 8 * MiB;

    public static ByteCount Of(ByteCount total) => new(Math.Clamp(total.Bytes / 50, 16 * MiB, 1024 * MiB));

    /// <summary>Often enough that less than the reserve can arrive between two looks.</summary>
    public static long LookEvery(ByteCount reserve) => Math.Clamp(reserve.Bytes / 2, FirstLook, 64 * MiB);
}
