using System.ComponentModel;
using System.IO.Pipelines;
using Drover.Agent.Host;
using Drover.Agent.Volumes.Trees;
using Drover.Contracts.Hosting;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.Agent.Volumes.Zfs;

/// <summary>Streams: `zfs send` and `zfs receive`, and what makes their result trustworthy.</summary>
public sealed partial class ZfsDriver
{
    private const int TruncatedAt = 16 * 1024;

    public async Task Send(VolumeName volume, SnapshotName snapshot, SnapshotName? from, StreamFormat format, PipeWriter to, CancellationToken cancel)
    {
        try
        {
            Abilities.Require(format, Name);
            var places = Places(volume);
            using var reading = _reading.Begin(volume, from is { } name ? [snapshot, name] : [snapshot]);
            var (here, what, basis) = await Chosen(places, snapshot, from, cancel);
            if (format == StreamFormat.Tree1) await SendTree(places, what, basis, to, cancel);
            // Where a restore left the base beside the way that led here, everything goes: the stream's head says so.
            else await SendNative(what, basis?.Dataset == what.Dataset && basis.Order < what.Order ? basis : null, format, to, cancel);
            await to.CompleteAsync();
        }
        catch (Exception e)
        {
            // The reader must not take what came so far for a whole stream.
            await to.CompleteAsync(e);
            throw;
        }
    }

    /// <summary>The two snapshots, in one dataset if that can be had: `zfs send` finds the way from one to the other only there.</summary>
    private async Task<(ZfsVolume Here, ZfsSnapshot What, ZfsSnapshot? Base)> Chosen(ZfsPlaces places, SnapshotName snapshot, SnapshotName? from, CancellationToken cancel)
    {
        using var held = await _locks.Take([places.Name.Value], cancel);
        var here = await Look(places);
        for (var isTidy = false; ; isTidy = true)
        {
            var what = here.Find(snapshot) ?? throw new InvalidOperationException($"snapshot {snapshot} of volume {places.Name} is not here: nothing to send");
            var basis = from is { } name ? here.Find(name) ?? throw new BaseUnusable($"snapshot {from} of volume {places.Name} is not here") : null;
            if (isTidy || basis is null || basis.Dataset == what.Dataset) return (here, what, basis);
            await Tidy(places);
            here = await Look(places);
        }
    }

    private async Task SendNative(ZfsSnapshot what, ZfsSnapshot? basis, StreamFormat format, PipeWriter to, CancellationToken cancel)
    {
        string[] flags = format == StreamFormat.ZfsSend2 ? ["-L", "-c"] : [];
        string[] arguments = basis is null ? ["send", .. flags, what.Path] : ["send", .. flags, "-i", $"@{basis.Name}", what.Path];
        var stream = new ZfsStreamWriter(to);
        stream.Header(new(what.Identity, what.Guid, basis?.Identity, basis?.Guid ?? 0));
        await using var sending = _zfs.Start(arguments);
        sending.Input.Close();
        for (long sent = 0; ;)
        {
            var read = await stream.Piece(sending.Output, cancel);
            if (read == 0) break;
            sent += read;
            var flushed = await to.FlushAsync(cancel);
            if (flushed.IsCompleted) throw new IOException($"the reader of the stream of {what.Path} went away");
            if (sent > TruncatedAt && Failpoints.BendsOnce("truncate-stream")) return;
        }
        var result = await sending.Exited(cancel);
        if (!result.Ok) throw ZfsProgram.Failure(new("zfs", arguments), result);
        stream.End();
    }

    public async Task<IIncoming> Receive(VolumeName volume, SnapshotName snapshot, SnapshotName? from, StreamFormat format, PipeReader stream, CancellationToken cancel)
    {
        Incoming? attempt = null;
        try
        {
            Abilities.Require(format, Name);
            var places = Places(volume);
            if (Named(snapshot) is { } badName) throw new ArgumentException(badName.Message, nameof(snapshot));
            // One at a time: what a second one does to the datasets would be under the first one's feet.
            using var turn = await _locks.Take([$"receive {volume}"], cancel);
            using var reading = _reading.Begin(volume, from is { } name ? [name] : []);
            attempt = new Incoming(this, places, snapshot, chance.NewGuid().ToString("N"));
            var basis = await Task.Run(() => attempt.Begin(from), cancel);
            if (format == StreamFormat.Tree1) await ReceiveTree(attempt, basis, stream, cancel);
            else await ReceiveNative(attempt, basis, stream, cancel);
            return attempt;
        }
        catch (Exception e)
        {
            // Whatever failed: whoever feeds the stream must not wait for a reader that is gone.
            await stream.CompleteAsync();
            if (attempt is not null) await attempt.DisposeAsync();
            if (e is Win32Exception { NativeErrorCode: TreeCalls.NoSpace or TreeCalls.OverQuota }) throw new IOException($"the pool at {_pool} is full: make room, then repeat ({e.Message})", e);
            throw;
        }
    }

    private async Task ReceiveNative(Incoming attempt, ZfsSnapshot? basis, PipeReader stream, CancellationToken cancel)
    {
        var reader = new ZfsStreamReader(stream);
        var header = await reader.Header(cancel);
        if (header.Base is { } told && (basis is null || basis.Identity != told || basis.Guid != header.BaseGuid))
            throw new BaseUnusable($"the stream of {attempt.Name} needs base {told} (guid {header.BaseGuid}), here is {basis?.Identity.ToString() ?? "none"} (guid {basis?.Guid})");
        if (header.Base is null && header.BaseGuid != 0) throw new InvalidDataException($"the stream of {attempt.Name} names guid {header.BaseGuid} of a base, and no base");
        // Every piece but the last is as long as can be: the first has the whole record.
        var first = await reader.Piece(cancel);
        ZfsReplay.Check(first.Span, header);
        var target = await attempt.Place(header.Base is null ? null : basis, cancel);
        string[] arguments = ["receive", .. _abilities.ReceiveUnmounted ? new[] { "-u" } : [], $"{target}@{attempt.Hidden}"];
        await using var receiving = _zfs.Start(arguments);
        await Feed(first, reader, receiving, cancel);
        var result = await receiving.Exited(cancel);
        await stream.CompleteAsync();
        if (!result.Ok) throw ZfsRefusal.Of(result, attempt.Name, _pool, isDifference: header.Base is not null);
        await attempt.Check(header);
    }

    /// <summary>Gives on what was checked. A stream that is not whole ends the program before it can take it for one.</summary>
    private static async Task Feed(ReadOnlyMemory<byte> first, ZfsStreamReader from, IRunningCommand receiving, CancellationToken cancel)
    {
        try
        {
            for (var piece = first; !piece.IsEmpty; piece = await from.Piece(cancel))
            {
                // A program that ended early says why by its exit code and words; the broken pipe does not.
                try { await receiving.Input.WriteAsync(piece, cancel); }
                catch (IOException) { return; }
            }
            receiving.Input.Close();
        }
        catch
        {
            receiving.Kill();
            throw;
        }
    }

    private sealed class Incoming(ZfsDriver driver, ZfsPlaces places, SnapshotName snapshot, string attempt) : IIncoming
    {
        private bool _accepted;
        private ZfsSnapshot? _arrived;
        private string? _target;

        public string Name => $"{places.Name}/{snapshot}";
        public string Identity => _arrived!.Identity.ToString();
        public string Hidden => ZfsPlaces.Arriving + attempt;
        public string Path { get; } = places.IncomingPath(attempt);

        public async Task<ZfsSnapshot?> Begin(SnapshotName? from)
        {
            using var held = await driver._locks.Take([places.Name.Value], CancellationToken.None);
            // What arrived among the data of an older volume of this name would go with it.
            if (places.Grave() is not null && (Directory.Exists(places.Path) ? "restart the agent" : await driver.Bury(places)) is { } left)
                throw new IOException($"an older volume called {places.Name} is being removed and not gone yet ({left}): end what works in it, then repeat");
            var here = await driver.Look(places);
            var basis = from is { } name ? here.Find(name) ?? throw new BaseUnusable($"snapshot {name} of volume {places.Name} is not here") : null;
            await driver.Prepare(places, here);
            Native.MakePrivateFolder(System.IO.Path.GetDirectoryName(Path)!);
            return basis;
        }

        /// <summary>The dataset to receive into: a new one, or one whose newest snapshot is the base and that nobody has changed since.</summary>
        public async Task<string> Place(ZfsSnapshot? basis, CancellationToken cancel)
        {
            var fresh = places.Carrier(attempt);
            driver._used[_target = fresh] = true;
            if (basis is null) return fresh;
            using var held = await driver._locks.Take([places.Name.Value], cancel);
            var here = await driver.Look(places);
            basis = here.Snapshots.First(s => s.Guid == basis.Guid && s.Visible is not null);
            var carrier = here.Of(basis);
            if ((carrier.Live is null || ZfsPlaces.IsPutAway(carrier, places.ReadLedger()!)) && carrier.Newest == basis)
            {
                driver._used.TryRemove(fresh, out _);
                driver._used[_target = carrier.Path] = true;
                // Safe: what it holds beyond its newest snapshot is nobody's; live data has datasets of its own.
                await driver._zfs.Run("rollback", basis.Path);
                return carrier.Path;
            }
            // A clone that takes the base over has it as its newest.
            await driver.Clone(basis, fresh);
            var promoted = await driver._zfs.Try("promote", fresh);
            if (promoted.Ok) return fresh;
            // Safe: a clone without anything of its own, made above. Where somebody put a snapshot into it meanwhile, `zfs` refuses.
            await driver._zfs.Patiently("destroy", fresh);
            throw ZfsProgram.IsFull(promoted) ? ZfsProgram.Failure(new("zfs", ["promote", fresh]), promoted)
                : new BaseUnusable($"base {basis.Path} of {Name} cannot be taken over ({promoted.Error.Trim()}): does something else than drover take snapshots here?");
        }

        /// <summary>A dataset of its own to make a tree in, mounted.</summary>
        public async Task Open(ZfsSnapshot? basis)
        {
            var fresh = places.Carrier(attempt);
            driver._used[_target = fresh] = true;
            ZfsPlaces.MakeMountPoint(Path);
            string[] properties = ["-o", "canmount=noauto", "-o", $"mountpoint={Path}"];
            if (basis is null) await driver._zfs.Run(["create", .. properties, fresh]);
            else await driver.Clone(basis, fresh, properties);
            if (await driver.Show(fresh, Path) is { } hidden) throw new IOException(hidden.Message);
        }

        /// <summary>The tree is made: it becomes a snapshot, called what it is called everywhere.</summary>
        public async Task Close(Guid identity)
        {
            if (!ZfsPlaces.Leave(Path)) throw new IOException($"{Path} is in use: stop what works in it, then repeat");
            await driver._zfs.Run("inherit", "mountpoint", _target!);
            await driver._zfs.Run("snapshot", "-o", $"{ZfsTree.Identity}={identity}", $"{_target}@{Hidden}");
            _arrived = (await driver.Look(places)).Snapshots.First(s => s.Name == Hidden);
        }

        /// <summary>An exit code of zero is not enough.</summary>
        public async Task Check(ZfsHeader header)
        {
            var here = await driver.Look(places);
            var arrived = here.Snapshots.FirstOrDefault(s => s.Name == Hidden) ?? throw new InvalidDataException($"the stream of {Name} ended before its snapshot was whole");
            if (arrived.Guid != header.Guid && !Failpoints.Bends("no-verification")) throw new InvalidDataException($"the stream of {Name} held snapshot {arrived.Guid}, its head names {header.Guid}");
            if (arrived.Identity != header.Identity)
            {
                await driver._zfs.Run("set", $"{ZfsTree.Identity}={header.Identity}", arrived.Path);
                arrived = arrived with { Told = header.Identity };
            }
            _arrived = arrived;
        }

        public async Task<SnapshotView> Accept(CancellationToken cancel)
        {
            SnapshotView? view = null;
            await driver.Alone(places.Name, async (there, here) =>
            {
                view = here.Find(snapshot) is { } known ? Known(known) : await MakeVisible(here);
                return VolumeOutcome.Done;
            }, cancel);
            return view!;
        }

        private async Task<SnapshotView> MakeVisible(ZfsVolume here)
        {
            if (places.Grave() is not null || places.ReadLedger() is null) throw new IOException($"volume {places.Name} was removed while {Name} arrived: what arrived is dropped");
            // A promotion may have moved it meanwhile.
            var arrived = here.Snapshots.FirstOrDefault(s => s.Name == Hidden) ?? throw new InvalidOperationException($"{Name} was dropped before it was accepted");
            if (await driver.Hidden(places, here.Of(arrived), snapshot) is { } hidden) throw new InvalidOperationException(hidden.Message);
            // It is on disk: its transaction was, before `zfs` said that it is there.
            driver.Reached("received data synced");
            await driver._zfs.Run("rename", arrived.Path, $"{arrived.Dataset}@{snapshot}");
            _accepted = true;
            driver.Reached("snapshot renamed");
            return driver.ViewOf(arrived with { Name = snapshot.Value });
        }

        private SnapshotView Known(ZfsSnapshot known) => known.Identity == _arrived!.Identity ? driver.ViewOf(known)
            : throw new InvalidOperationException($"another snapshot called {snapshot} ({known.Identity}) is here already: {Identity} is refused; snapshot names must be unique");

        public async ValueTask DisposeAsync() => await Task.Run(async () =>
        {
            using var held = await driver._locks.Take([places.Name.Value], CancellationToken.None);
            ZfsPlaces.Leave(Path);
            if (_target is null) return;
            driver._used.TryRemove(_target, out _);
            if (_accepted) return;
            // Safe: nobody was told that it arrived.
            if ((await driver.Look(places)).Snapshots.FirstOrDefault(s => s.Name == Hidden) is { } dropped) await driver._zfs.Patiently("destroy", dropped.Path);
            await driver.Tidy(places);
        });
    }
}
