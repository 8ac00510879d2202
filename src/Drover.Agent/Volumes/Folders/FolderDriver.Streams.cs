using System.ComponentModel;
using System.IO.Pipelines;
using Drover.Agent.Volumes.Trees;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.Agent.Volumes.Folders;

/// <summary>Snapshots and streams: both are the difference of two trees, applied to a copy of the older one.</summary>
public sealed partial class FolderDriver
{
    public async Task<VolumeOutcome<SnapshotView>> Snapshot(VolumeName volume, SnapshotName name, Epoch epoch, CancellationToken cancel)
    {
        var folder = Folder(volume);
        if (Named(name) is { } badName) return VolumeOutcome<SnapshotView>.Of(badName);
        using var held = await _locks.Take([volume.Value], cancel);
        if (LiveRefusal(folder, epoch) is { } refused) return VolumeOutcome<SnapshotView>.Of(refused);
        if (folder.FindSnapshot(name) is { } known) return VolumeOutcome<SnapshotView>.Of(ViewOf(name, known));
        await using var attempt = NewAttempt(folder, name);
        await Task.Run(() => Take(attempt, folder, epoch, cancel), cancel);
        return VolumeOutcome<SnapshotView>.Of(attempt.Place(folder));
    }

    /// <summary>What did not change since the newest snapshot is shared with it.</summary>
    private async Task Take(Attempt attempt, FolderVolume folder, Epoch epoch, CancellationToken cancel)
    {
        attempt.Prepare();
        Reached("snapshot folder made");
        var basis = folder.AllSnapshots() is [.., var newest] ? Source(folder, newest.Name) : null;
        var live = new TreeSource(folder.Live(epoch), chance.NewGuid());
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 2 << 20, resumeWriterThreshold: 1 << 20, useSynchronizationContext: false));
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        // Live data's files and the snapshots' are never the same: only contents tell.
        var sender = new TreeSender(pipe.Writer, static (_, _) => false, isStill: folder.ReadLedger()!.Sealed);
        var sending = Task.Run(() => Completed(sender.Send(live, basis, stop.Token), pipe.Writer), CancellationToken.None);
        try { await attempt.Fill(pipe.Reader, basis, stop.Token); }
        finally
        {
            await stop.CancelAsync();
            await pipe.Reader.CompleteAsync();
            await sending;
        }
    }

    /// <summary>The reader gets the failure, and says it.</summary>
    private static async Task Completed(Task sending, PipeWriter writer)
    {
        try
        {
            await sending;
            await writer.CompleteAsync();
        }
        catch (Exception e) { await writer.CompleteAsync(e); }
    }

    public async Task Send(VolumeName volume, SnapshotName snapshot, SnapshotName? from, StreamFormat format, PipeWriter to, CancellationToken cancel)
    {
        try
        {
            Abilities.Require(format, Name);
            var folder = Folder(volume);
            using var reading = _reading.Begin(volume, from is { } basis ? [snapshot, basis] : [snapshot]);
            var sent = Source(folder, snapshot) ?? throw new InvalidOperationException($"snapshot {snapshot} of volume {volume} is not here: nothing to send");
            var before = from is { } name ? Source(folder, name) ?? throw new BaseUnusable($"snapshot {from} of volume {volume} is not here") : null;
            // Snapshots share the files that are the same.
            var sender = new TreeSender(to, static (now, then) => now.Key() == then.Key(), isStill: true);
            await Task.Run(() => sender.Send(sent, before, cancel), cancel);
            await to.CompleteAsync();
        }
        catch (Exception e)
        {
            // The reader must not take what came so far for a whole stream.
            await to.CompleteAsync(e);
            throw;
        }
    }

    public async Task<IIncoming> Receive(VolumeName volume, SnapshotName snapshot, SnapshotName? from, StreamFormat format, PipeReader stream, CancellationToken cancel)
    {
        using var reading = _reading.Begin(volume, from is { } used ? [used] : []);
        Attempt? attempt = null;
        try
        {
            Abilities.Require(format, Name);
            var folder = Folder(volume);
            if (Named(snapshot) is { } badName) throw new ArgumentException(badName.Message, nameof(snapshot));
            var basis = from is { } name ? Source(folder, name) ?? throw new BaseUnusable($"snapshot {name} of volume {volume} is not here") : null;
            attempt = NewAttempt(folder, snapshot);
            await Task.Run(attempt.Prepare, cancel);
            await Task.Run(() => attempt.Fill(stream, basis, cancel), cancel);
            await stream.CompleteAsync();
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

    private static TreeSource? Source(FolderVolume folder, SnapshotName snapshot) =>
        folder.FindSnapshot(snapshot) is { } facts ? new(folder.SnapshotData(snapshot), facts.Identity) : null;

    private Attempt NewAttempt(FolderVolume folder, SnapshotName snapshot) => new(this, folder, snapshot, chance.NewGuid().ToString("N"));

    /// <summary>A snapshot that is coming to be, apart from those that are here.</summary>
    private sealed class Attempt(FolderDriver driver, FolderVolume folder, SnapshotName snapshot, string name) : IIncoming
    {
        private readonly string _path = Path.Combine(folder.Incoming, name);
        private Guid _identity;
        private long _bytes;
        private bool _placed;

        public string Identity => _identity.ToString();
        private string Data => Path.Combine(_path, FolderVolume.DataName);

        public void Prepare()
        {
            folder.LedgerOrBlank();
            // Only root may enter: whoever could write here could alter the data while it arrives.
            Native.MakePrivateFolder(folder.Incoming);
            Native.MakePrivateFolder(_path);
        }

        public async Task Fill(PipeReader stream, TreeSource? basis, CancellationToken cancel)
        {
            using var receiver = new TreeReceiver(stream);
            var header = await receiver.Header(cancel);
            if (header.Base != basis?.Identity)
                throw new BaseUnusable($"the stream of {folder.Name}/{snapshot} needs base {header.Base?.ToString() ?? "none"}, here is {basis?.Identity.ToString() ?? "none"}");
            Native.MakePrivateFolder(Data);
            if (basis is not null) TreeCopy.Link(basis.Root, Data, cancel);
            await receiver.Apply(Data, filesAreShared: true, cancel);
            (_identity, _bytes) = (header.Identity, TreeSize.Of(Data));
        }

        public async Task<SnapshotView> Accept(CancellationToken cancel)
        {
            using var held = await driver._locks.Take([folder.Name.Value], cancel);
            return await Task.Run(() => Place(folder), CancellationToken.None);
        }

        /// <summary>The caller holds the volume's lock.</summary>
        public SnapshotView Place(FolderVolume there)
        {
            if (!_placed && there.FindSnapshot(snapshot) is { } known)
                return known.Identity == _identity ? ViewOf(snapshot, known)
                    : throw new InvalidOperationException($"another snapshot called {snapshot} ({known.Identity}) is here already: {_identity} is refused; snapshot names must be unique");
            if (!_placed)
            {
                Native.MakePrivateFolder(there.Snapshots);
                new SnapshotFacts(_identity, there.AllSnapshots().Select(s => s.Facts.Made).DefaultIfEmpty().Max() + 1, _bytes).Write(_path);
                // First the data, then the name: a name must never appear for data that a power cut could still take.
                TreeCalls.SyncFilesystem(driver._pool);
                driver.Reached("received data synced");
                Directory.Move(_path, there.Snapshot(snapshot));
                _placed = true;
                driver.Reached("snapshot renamed");
                Native.SyncFolder(there.Snapshots);
            }
            return ViewOf(snapshot, there.FindSnapshot(snapshot)!);
        }

        public async ValueTask DisposeAsync()
        {
            // Safe: once placed, this folder is gone from here; otherwise nobody was told that it is a snapshot.
            if (Directory.Exists(_path)) await Task.Run(() => Delete(_path));
        }
    }
}
