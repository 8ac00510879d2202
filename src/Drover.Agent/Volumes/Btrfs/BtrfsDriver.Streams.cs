using System.ComponentModel;
using System.IO.Pipelines;
using System.Runtime.InteropServices;
using Drover.Agent.Host;
using Drover.Contracts.Hosting;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.Agent.Volumes.Btrfs;

/// <summary>Streams: `btrfs send` and `btrfs receive`, and the checks that make their result trustworthy.</summary>
public sealed partial class BtrfsDriver
{
    /// <summary>Room asked for at least: all that is left of a buffer is offered, and a new one is begun only when that is less. Asking for more would begin one with each read.</summary>
    private const int LeastRead = 32 * 1024;
    /// <summary>Largest size an unprivileged user may ask for; the default of 64 KiB stalls both sides at every burst.</summary>
    private const int PipeSize = 1024 * 1024;

    public async Task Send(VolumeName volume, SnapshotName snapshot, SnapshotName? from, StreamFormat format, PipeWriter to, CancellationToken cancel)
    {
        try
        {
            Abilities.Require(format, Name);
            using var reading = _reading.Begin(volume, from is { } basis ? [snapshot, basis] : [snapshot]);
            await SettleFirst(volume, cancel);
            RequireHere(Folder(volume), snapshot, from);
            if (format == StreamFormat.Tree1) await SendTree(Folder(volume), snapshot, from, to, cancel);
            else await SendNative(Folder(volume), snapshot, from, to, cancel);
            await to.CompleteAsync();
        }
        catch (Exception e)
        {
            // The reader must not take what came so far for a whole stream.
            await to.CompleteAsync(e);
            throw;
        }
    }

    private async Task SendNative(VolumeFolder folder, SnapshotName snapshot, SnapshotName? from, PipeWriter to, CancellationToken cancel)
    {
        var command = SendCommand(folder, snapshot, from);
        await using var sending = commands.Start(command);
        sending.Input.Close();
        Widen(sending.Output);
        while (true)
        {
            var read = await sending.Output.ReadAsync(to.GetMemory(LeastRead), cancel);
            if (read == 0) break;
            to.Advance(read);
            var flushed = await to.FlushAsync(cancel);
            if (flushed.IsCompleted) throw new IOException($"the reader of the stream of {folder.Name}/{snapshot} went away");
        }
        (await sending.Exited(cancel)).Require(command);
    }

    public async Task<IIncoming> Receive(VolumeName volume, SnapshotName snapshot, SnapshotName? from, StreamFormat format, PipeReader stream, CancellationToken cancel)
    {
        Incoming? attempt = null;
        try
        {
            Abilities.Require(format, Name);
            var folder = Folder(volume);
            if (from is not null) await SettleFirst(volume, cancel);
            if (Named(snapshot) is { } badName) throw new ArgumentException(badName.Message, nameof(snapshot));
            var parent = from is { } name ? folder.FindSnapshot(name) ?? throw new BaseUnusable($"snapshot {name} of volume {volume} is not here") : (SubvolumeInfo?)null;
            if (parent is { } basis && format == StreamFormat.BtrfsSend1 && await ReceiveAhead(folder, snapshot, from!.Value, basis, stream, cancel) is { } ahead) return ahead;
            attempt = new Incoming(this, folder, snapshot, chance.NewGuid().ToString("N"));
            await Task.Run(attempt.Prepare, cancel);
            if (format == StreamFormat.Tree1) await ReceiveTree(attempt, parent is null ? null : folder.SnapshotData(from!.Value), parent, stream, cancel);
            else await RunReceive(attempt, stream, cancel);
            await Task.Run(() => attempt.Check(parent, from), cancel);
            return attempt;
        }
        catch (Exception e)
        {
            // Whatever failed: whoever feeds the stream must not wait for a reader that is gone.
            await stream.CompleteAsync();
            if (attempt is not null) await attempt.DisposeAsync();
            if (e is Win32Exception { NativeErrorCode: Trees.TreeCalls.NoSpace or Trees.TreeCalls.OverQuota }) throw new IOException($"the pool at {_pool} is full: make room, then repeat ({e.Message})", e);
            throw;
        }
    }

    private static void RequireHere(VolumeFolder folder, SnapshotName snapshot, SnapshotName? from)
    {
        if (folder.FindSnapshot(snapshot) is null) throw new InvalidOperationException($"snapshot {snapshot} of volume {folder.Name} is not here: nothing to send");
        if (from is { } basis && folder.FindSnapshot(basis) is null) throw new BaseUnusable($"snapshot {from} of volume {folder.Name} is not here");
    }

    private static HostCommand SendCommand(VolumeFolder folder, SnapshotName snapshot, SnapshotName? from) =>
        // Only `-p`: with `-c` the stream may name clone sources that a target cannot find, or finds wrongly.
        from is null ? new("btrfs", ["send", "-q", "--proto", "2", folder.SnapshotData(snapshot)])
            : new("btrfs", ["send", "-q", "--proto", "2", "-p", folder.SnapshotData(from.Value), folder.SnapshotData(snapshot)]);

    private async Task RunReceive(Incoming attempt, PipeReader stream, CancellationToken cancel)
    {
        // -e: the end mark of the stream ends it. What feeds it is an authenticated peer, into a folder only root can enter.
        var command = new HostCommand("btrfs", ["receive", "-q", "-e", attempt.Folder]);
        await using var receiving = commands.Start(command);
        Widen(receiving.Input);
        var cut = await Feed(stream, receiving.Input, cancel);
        var result = await receiving.Exited(cancel);
        await stream.CompleteAsync();
        if (cut is not null) throw new InvalidDataException($"the stream of {attempt.Name} broke off: {cut.Message}", cut);
        if (result.Ok || Failpoints.Bends("no-verification")) return;
        if (result.Error.Contains("cannot find parent", StringComparison.Ordinal) || result.Error.Contains("cannot find clone source", StringComparison.Ordinal))
            throw new BaseUnusable($"btrfs finds no base for {attempt.Name}: {result.Error.Trim()}");
        if (result.Error.Contains("No space left", StringComparison.Ordinal))
            throw new IOException($"the pool at {_pool} is full: make room, then repeat ({result.Error.Trim()})");
        throw new InvalidDataException($"btrfs could not apply the stream of {attempt.Name}: {result.Error.Trim()}");
    }

    /// <summary>Copies until the stream ends or the program does. The failure of the stream, if it failed.</summary>
    private static async Task<Exception?> Feed(PipeReader stream, Stream input, CancellationToken cancel)
    {
        try
        {
            while (true)
            {
                var read = await ReadOrFailure(stream, cancel);
                if (read.Failure is not null) return read.Failure;
                foreach (var segment in read.Result.Buffer) await input.WriteAsync(segment, cancel);
                stream.AdvanceTo(read.Result.Buffer.End);
                if (read.Result.IsCompleted) return null;
            }
        }
        // The program ended early: its exit code and words say why, the broken pipe does not.
        catch (IOException) { return null; }
        finally { input.Close(); }
    }

    private static async Task<(ReadResult Result, Exception? Failure)> ReadOrFailure(PipeReader stream, CancellationToken cancel)
    {
        try { return (await stream.ReadAsync(cancel), null); }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested) { throw; }
        catch (Exception e) { return (default, e); }
    }

    private static void Widen(Stream pipe)
    {
        SafeHandle? handle = pipe switch
        {
            System.IO.Pipes.PipeStream p => p.SafePipeHandle,
            FileStream f => f.SafeFileHandle,
            _ => null,
        };
        if (handle is not null) Native.WidenPipe(handle, PipeSize);
    }

    /// <summary>One that waits to be made read-only must be before it can be sent, or be a base.</summary>
    private async Task SettleFirst(VolumeName volume, CancellationToken cancel)
    {
        if (_pending.ContainsKey(volume)) await Alone(volume, _ => VolumeOutcome.Done, cancel);
    }

    /// <summary>A whole snapshot gets its name, and is on disk under it when it returns.</summary>
    private void PutInPlace(VolumeFolder there, SnapshotName snapshot, string from)
    {
        Directory.CreateDirectory(there.Snapshots);
        // A folder without data is the mark of a snapshot that was not taken.
        if (Directory.Exists(there.Snapshot(snapshot))) Directory.Delete(there.Snapshot(snapshot));
        // First the data, then the name: a name must never appear for data that a power cut could still take.
        Subvolume.SyncFilesystem(from);
        Reached("received data synced");
        // The folder moves, not the subvolume: a read-only subvolume cannot change its parent.
        Directory.Move(from, there.Snapshot(snapshot));
        Reached("snapshot renamed");
        Subvolume.SyncFilesystem(there.Path);
    }

    private sealed class Incoming(BtrfsDriver driver, VolumeFolder folder, SnapshotName snapshot, string attempt) : IIncoming
    {
        private bool _accepted;
        private SubvolumeInfo _info;

        public string Name => $"{folder.Name}/{snapshot}";
        public string Folder { get; } = Path.Combine(folder.Incoming, attempt);
        public string Identity => _info.Identity;

        public void Prepare()
        {
            folder.LedgerOrBlank();
            // Only root may enter: whoever could write here could alter the data while it arrives.
            Native.MakePrivateFolder(folder.Incoming);
            Native.MakePrivateFolder(Folder);
        }

        /// <summary>An exit code of zero is not enough: see the remarks of <see cref="BtrfsDriver"/>.</summary>
        public void Check(SubvolumeInfo? parent, SnapshotName? from)
        {
            if (Subvolume.Find(Path.Combine(Folder, VolumeFolder.DataName)) is not { } info)
                throw new InvalidDataException($"the stream of {Name} held no subvolume called {VolumeFolder.DataName}");
            if (Failpoints.Bends("no-verification"))
            {
                Subvolume.SetReadOnly(Path.Combine(Folder, VolumeFolder.DataName), true);
                _info = Subvolume.Find(Path.Combine(Folder, VolumeFolder.DataName))!.Value;
                return;
            }
            if (!info.IsReadOnly || info.ReceivedUuid == Guid.Empty) throw new InvalidDataException($"the stream of {Name} ended before its subvolume was whole");
            if (parent is { } expected && info.ParentUuid != expected.Uuid)
                throw new BaseUnusable($"btrfs applied the stream of {Name} to another subvolume ({info.ParentUuid}) than {from} ({expected.Uuid})");
            if (parent is null && info.ParentUuid != Guid.Empty) throw new InvalidDataException($"the stream of {Name} is a difference, everything was expected");
            _info = info;
        }

        public async Task<SnapshotView> Accept(CancellationToken cancel)
        {
            SnapshotView? view = null;
            await driver.Alone(folder.Name, there =>
            {
                view = _accepted || there.FindSnapshot(snapshot) is null ? Place(there) : Known(there);
                return VolumeOutcome.Done;
            }, cancel);
            return view!;
        }

        private SnapshotView Place(VolumeFolder there)
        {
            if (!_accepted)
            {
                driver.PutInPlace(there, snapshot, Folder);
                _accepted = true;
            }
            return ViewOf(there, snapshot, driver._sizes.Known)!;
        }

        private SnapshotView Known(VolumeFolder there)
        {
            var known = ViewOf(there, snapshot, driver._sizes.Known)!;
            return known.Identity == Identity ? known
                : throw new InvalidOperationException($"another snapshot called {snapshot} ({known.Identity}) is here already: {Identity} is refused; snapshot names must be unique");
        }

        public async ValueTask DisposeAsync()
        {
            // Safe: once accepted, this folder is gone from here; otherwise nobody was told that its contents arrived.
            if (Directory.Exists(Folder)) await Task.Run(() => DeleteTree(Folder));
        }
    }
}
