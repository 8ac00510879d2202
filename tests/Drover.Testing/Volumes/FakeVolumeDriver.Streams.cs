using System.IO.Hashing;
using System.IO.Pipelines;
using Drover.Agent.Volumes;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.Testing.Volumes;

/// <summary>The fake's stream: format, identity, identity of the base, files, names of files that are gone, and a hash at the end.</summary>
public sealed partial class FakeVolumeDriver
{
    private const int Piece = 64 * 1024;

    public async Task Send(VolumeName volume, SnapshotName snapshot, SnapshotName? from, StreamFormat format, PipeWriter to, CancellationToken cancel)
    {
        try
        {
            Abilities.Require(format, Name);
            var bytes = Encode(volume, snapshot, from, format);
            for (var at = 0; at < bytes.Length; at += Piece)
            {
                Sending(at);
                var flushed = await to.WriteAsync(bytes.AsMemory(at, Math.Min(Piece, bytes.Length - at)), cancel);
                if (flushed.IsCompleted) throw new IOException("the reader of the stream went away");
            }
            await to.CompleteAsync();
        }
        catch (Exception e)
        {
            await to.CompleteAsync(e);
            throw;
        }
    }

    public async Task<IIncoming> Receive(VolumeName volume, SnapshotName snapshot, SnapshotName? from, StreamFormat format, PipeReader stream, CancellationToken cancel)
    {
        try
        {
            Abilities.Require(format, Name);
            FakeSnapshot? parent = null;
            lock (pool.Gate)
                if (from is { } name && !(pool.Volumes.GetValueOrDefault(volume)?.Snapshots.TryGetValue(name, out parent) ?? false))
                    throw new BaseUnusable($"snapshot {name} of volume {volume} is not here");
            await BeforeReceive();
            var bytes = new MemoryStream();
            try { await stream.CopyToAsync(bytes, cancel); }
            catch (Exception e) when (e is not OperationCanceledException) { throw new InvalidDataException($"the stream of {volume}/{snapshot} broke off: {e.Message}", e); }
            lock (pool.Gate) if (bytes.Length > pool.Free) throw new IOException($"the pool is full: {bytes.Length} bytes came for {volume}/{snapshot}, {pool.Free} are free");
            return new Incoming(this, volume, snapshot, Decode(bytes.ToArray(), parent, format));
        }
        finally
        {
            await stream.CompleteAsync();
        }
    }

    private byte[] Encode(VolumeName volume, SnapshotName snapshot, SnapshotName? from, StreamFormat format)
    {
        lock (pool.Gate)
        {
            var known = pool.Volumes.GetValueOrDefault(volume)?.Snapshots ?? [];
            if (!known.TryGetValue(snapshot, out var sent)) throw new InvalidOperationException($"snapshot {snapshot} of volume {volume} is not here: nothing to send");
            FakeSnapshot? parent = null;
            if (from is { } name && !known.TryGetValue(name, out parent)) throw new BaseUnusable($"snapshot {name} of volume {volume} is not here");
            var old = parent?.Tree.Files ?? [];
            var fresh = sent.Tree.Files.Where(f => !old.TryGetValue(f.Key, out var o) || !ReferenceEquals(o, f.Value)).ToList();
            if (Unsteady && _sends++ % 2 > 0) fresh.Reverse();
            var gone = old.Keys.Where(k => !sent.Tree.Files.ContainsKey(k)).ToList();
            var memory = new MemoryStream();
            var writer = new BinaryWriter(memory);
            writer.Write(format.Name);
            writer.Write(sent.Identity);
            writer.Write(parent?.Identity ?? "");
            writer.Write(fresh.Count);
            foreach (var (path, contents) in fresh) { writer.Write(path); writer.Write(contents.Length); writer.Write(contents); }
            writer.Write(gone.Count);
            foreach (var path in gone) writer.Write(path);
            writer.Flush();
            writer.Write(XxHash3.HashToUInt64(memory.GetBuffer().AsSpan(0, (int)memory.Length)));
            writer.Flush();
            return memory.ToArray();
        }
    }

    private static FakeSnapshot Decode(byte[] bytes, FakeSnapshot? parent, StreamFormat format)
    {
        const int hashSize = 8;
        if (bytes.Length < hashSize || XxHash3.HashToUInt64(bytes.AsSpan(0, bytes.Length - hashSize)) != BitConverter.ToUInt64(bytes, bytes.Length - hashSize))
            throw new InvalidDataException("the stream is cut short or damaged");
        var reader = new BinaryReader(new MemoryStream(bytes));
        if (reader.ReadString() is var written && written != format.Name) throw new InvalidDataException($"the stream is {written}, not {format}");
        var identity = reader.ReadString();
        var basis = reader.ReadString();
        if (basis != (parent?.Identity ?? "")) throw new BaseUnusable($"the stream needs base {basis}, here is {parent?.Identity ?? "none"}");
        var tree = parent?.Tree.Copy() ?? FakeTree.Empty();
        for (var i = reader.ReadInt32(); i > 0; i--) tree.Files[reader.ReadString()] = reader.ReadBytes(reader.ReadInt32());
        for (var i = reader.ReadInt32(); i > 0; i--) tree.Files.Remove(reader.ReadString());
        return new(identity, tree);
    }

    private sealed class Incoming(FakeVolumeDriver driver, VolumeName volume, SnapshotName snapshot, FakeSnapshot arrived) : IIncoming
    {
        public string Identity => arrived.Identity;

        public Task<SnapshotView> Accept(CancellationToken cancel) => driver.Locked(() =>
        {
            driver.Reached("received data synced");
            var known = driver.Of(volume).Snapshots;
            if (known.TryGetValue(snapshot, out var other) && other.Identity != Identity) throw new InvalidOperationException($"another snapshot called {snapshot} is here already");
            known[snapshot] = other ?? arrived with { Made = driver.Of(volume).NextMade };
            driver.Pool.Accepted++;
            driver.Reached("snapshot renamed");
            return ViewOf(snapshot, known[snapshot]);
        });

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
