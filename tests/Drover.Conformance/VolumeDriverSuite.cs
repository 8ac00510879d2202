using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using Drover.Agent.Volumes;
using Drover.Core;
using Drover.Core.Volumes;
using Xunit;

namespace Drover.Conformance;

/// <summary>The laws of <see cref="IVolumeDriver"/>, for the fake and for every real driver.</summary>
public abstract partial class VolumeDriverSuite : IAsyncLifetime
{
    protected static readonly VolumeName Db = new("db");
    private readonly List<IPoolBench> _pools = [];

    /// <param name="mebibytes">Size of the whole pool; null: as large as the other laws need.</param>
    protected abstract Task<IPoolBench> NewPool(long? mebibytes = null);

    /// <summary>Format of all streams between the pools; null: the first the driver names.</summary>
    protected virtual StreamFormat? Format => null;

    private IPoolBench A => _pools[0];
    private IPoolBench B => _pools[1];

    public async ValueTask InitializeAsync()
    {
        for (var i = 0; i < 2; i++) await AddPool();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var pool in _pools) await pool.DisposeAsync();
    }

    private async Task<IPoolBench> AddPool(long? mebibytes = null)
    {
        var pool = await NewPool(mebibytes);
        _pools.Add(pool);
        await pool.Driver.Recover(default);
        return pool;
    }

    private static SnapshotName Snap(string name) => new(name);
    private static Epoch At(long epoch) => new(epoch);
    private static byte[] Text(string text) => Encoding.UTF8.GetBytes(text);

    private static void IsDone(VolumeOutcome outcome) => Assert.True(outcome.Ok, $"{outcome.Kind}: {outcome.Message}");

    private static void Is(VolumeOutcomeKind kind, VolumeOutcome outcome)
    {
        Assert.Equal(kind, outcome.Kind);
        Assert.False(string.IsNullOrWhiteSpace(outcome.Message));
    }

    /// <summary>A mounted volume at epoch 1 with one file.</summary>
    private static async Task Begin(IPoolBench pool, string contents = "first")
    {
        IsDone(await pool.Driver.CreateEmpty(Db, At(1), default));
        IsDone(await pool.Driver.Mount(Db, At(1), default));
        pool.Write(Db, "a", Text(contents));
    }

    private static async Task<SnapshotView> Take(IPoolBench pool, string name, long epoch)
    {
        var taken = await pool.Driver.Snapshot(Db, Snap(name), At(epoch), default);
        IsDone(taken);
        return taken.Value!;
    }

    private async Task<byte[]> StreamOf(IPoolBench pool, string snapshot, string? from = null, StreamFormat? format = null)
    {
        var pipe = new Pipe();
        var sending = pool.Driver.Send(Db, Snap(snapshot), from is null ? null : Snap(from), format ?? Best(pool), pipe.Writer, default);
        var bytes = new MemoryStream();
        await pipe.Reader.CopyToAsync(bytes);
        await sending;
        return bytes.ToArray();
    }

    private StreamFormat Best(IPoolBench pool) => Format ?? pool.Driver.Abilities.Formats[0];

    private async Task<IIncoming> Receive(IPoolBench pool, byte[] stream, string snapshot, string? from = null, StreamFormat? format = null) =>
        await pool.Driver.Receive(Db, Snap(snapshot), from is null ? null : Snap(from), format ?? Best(pool), PipeReader.Create(new ReadOnlySequence<byte>(stream)), default);

    private async Task<SnapshotView> Copy(IPoolBench source, IPoolBench target, string snapshot, string? from = null, StreamFormat? format = null)
    {
        await using var incoming = await Receive(target, await StreamOf(source, snapshot, from, format), snapshot, from, format);
        return await incoming.Accept(default);
    }

    /// <summary>A whole move: final snapshot of the sealed live data, sent and promoted there.</summary>
    private async Task Hop(IPoolBench source, IPoolBench target, string snapshot, string? from, long epoch)
    {
        IsDone(await source.Driver.Unmount(Db, default));
        IsDone(await source.Driver.Seal(Db, true, At(epoch), default));
        var taken = await Take(source, snapshot, epoch);
        var there = await Copy(source, target, snapshot, from);
        Assert.Equal(taken.Identity, there.Identity);
        IsDone(await target.Driver.Promote(Db, Snap(snapshot), At(epoch + 1), default));
        Assert.Equal(source.Contents(Db, At(epoch)), target.Contents(Db, At(epoch + 1)));
        IsDone(await target.Driver.Mount(Db, At(epoch + 1), default));
    }

    private static async Task<ReplicaView> See(IPoolBench pool)
    {
        var seen = await pool.Driver.Inspect(Db, default);
        Assert.NotNull(seen);
        return seen;
    }

    private static async Task<string[]> SnapshotsOf(IPoolBench pool) => (await pool.Driver.Inspect(Db, default))?.Snapshots.Select(s => s.Name.Value).ToArray() ?? [];
}
