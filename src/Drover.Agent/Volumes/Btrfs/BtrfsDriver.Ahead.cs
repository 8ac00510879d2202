using System.Buffers;
using System.Collections.Concurrent;
using System.IO.Pipelines;
using Drover.Contracts.Hosting;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.Agent.Volumes.Btrfs;

/// <summary>
/// Live data made ready before its last difference comes. While the app still runs at the source, the place of the next epoch's live data gets a writable snapshot of the
/// last pass. The last difference then goes right into it, and only the files that it touches are synced: no commit of the whole filesystem, which after scattered
/// writes has thousands of tree blocks to write, stands between the app's stop and its start.
/// </summary>
/// <remarks>
/// What makes it safe. Nothing is mounted there, and nothing names it, until its data is on disk and the ledger says so (<see cref="VolumeLedger.Ready"/>). From then on the
/// snapshot counts as here, by this copy; the read-only one is made of it, or of the same difference once it is promoted, before anything else is done with the volume.
/// A crash before the ledger: what lies there is removed. After it: the snapshot is made of the copy. After the promotion: the live data is whole, and only a base
/// for the way back may be lost.
/// </remarks>
public sealed partial class BtrfsDriver
{
    /// <summary>Longest difference that is taken this way; half of what the transfer's ring holds, so that it lies there whole.</summary>
    private const int MostAhead = 8 << 20;
    private readonly ConcurrentDictionary<VolumeName, Prepared> _prepared = new();
    private readonly ConcurrentDictionary<VolumeName, Pending> _pending = new();

    /// <summary>A copy of the basis at the place of an epoch's live data; only here in memory is it known to be clean.</summary>
    private sealed record Prepared(Epoch Epoch, SnapshotName Basis, Guid BasisUuid, Guid Uuid);

    /// <summary>A snapshot that is here as <see cref="VolumeLedger.Ready"/>, and what makes the read-only one once that is promoted.</summary>
    private sealed record Pending(SnapshotView View, Guid Identity, Difference? Difference);

    private sealed record Difference(SnapshotName Basis, ShortStream Stream);

    /// <summary>A whole difference: the stream's own buffers, held until it is disposed.</summary>
    private sealed class ShortStream(List<SendCommand> commands, HeldCommands held, PipeReader stream, SequencePosition start) : IDisposable
    {
        public List<SendCommand> Commands => commands;

        /// <summary>For another reader, from the beginning.</summary>
        public void PutBack()
        {
            held.Dispose();
            stream.AdvanceTo(start);
        }

        public void Dispose()
        {
            held.Dispose();
            stream.Complete();
        }
    }

    private VolumeOutcome Prepare(VolumeFolder folder, LiveOrder.Ahead order, VolumeLedger ledger)
    {
        if (ledger.Known >= order.Epoch) return VolumeOutcome.Stale(order.Epoch, ledger.Known);
        if (folder.FindSnapshot(order.Basis) is not { } basis) return VolumeOutcome.Missing($"snapshot {order.Basis} of volume {folder.Name} is not complete on this node");
        if (_prepared.TryGetValue(folder.Name, out var known) && known.Epoch == order.Epoch && known.BasisUuid == basis.Uuid) return VolumeOutcome.Done;
        ForgetAhead(folder);
        ClearUncommitted(folder, order.Epoch);
        Subvolume.Snapshot(folder.SnapshotData(order.Basis), folder.Lives, VolumeFolder.LiveName(order.Epoch), isReadOnly: false);
        if (Subvolume.Find(folder.Live(order.Epoch)) is { } made) _prepared[folder.Name] = new(order.Epoch, order.Basis, basis.Uuid, made.Uuid);
        return VolumeOutcome.Done;
    }

    /// <summary>Null: not by this way, and the stream is untouched.</summary>
    private async Task<IIncoming?> ReceiveAhead(VolumeFolder folder, SnapshotName snapshot, SnapshotName from, SubvolumeInfo basis, PipeReader stream, CancellationToken cancel)
    {
        if (Failpoints.Bends("no-verification") || !_prepared.TryGetValue(folder.Name, out var prepared) || prepared.Basis != from || prepared.BasisUuid != basis.Uuid) return null;
        if (await Short(stream, cancel) is not { } whole) return null;
        var head = whole.Commands[0];
        if (head.CloneUuid != basis.Original)
        {
            whole.Dispose();
            throw new BaseUnusable($"the stream of {folder.Name}/{snapshot} was made against {head.CloneUuid}, here {from} is {basis.Identity}");
        }
        // Whoever takes it has it alone; and it is used once.
        if (!_prepared.TryRemove(KeyValuePair.Create(folder.Name, prepared)))
        {
            whole.PutBack();
            return null;
        }
        var incoming = new IncomingAhead(this, folder, prepared, head.Uuid, new(snapshot, head.Uuid.ToString(), _sizes.Known(folder.SnapshotData(from), basis)), whole);
        try
        {
            await Alone(folder.Name, incoming.Apply, CancellationToken.None, settle: false);
            return incoming;
        }
        catch
        {
            await incoming.DisposeAsync();
            throw;
        }
    }

    /// <summary>The stream to its end, or null when it is longer than <see cref="MostAhead"/>, or says what is not done here: nothing of it is used up then.</summary>
    private static async Task<ShortStream?> Short(PipeReader stream, CancellationToken cancel)
    {
        while (true)
        {
            var (read, failure) = await ReadOrFailure(stream, cancel);
            if (failure is not null) throw new InvalidDataException($"the stream broke off: {failure.Message}", failure);
            if (read.IsCompleted)
            {
                if (read.Buffer.Length <= MostAhead && Known(read.Buffer, stream) is { } whole) return whole;
                stream.AdvanceTo(read.Buffer.Start);
                return null;
            }
            var isLong = read.Buffer.Length > MostAhead;
            stream.AdvanceTo(read.Buffer.Start, isLong ? read.Buffer.Start : read.Buffer.End);
            if (isLong) return null;
        }
    }

    private static ShortStream? Known(ReadOnlySequence<byte> bytes, PipeReader stream)
    {
        var held = new HeldCommands();
        try
        {
            if (SendStream.Parse(bytes, held) is { } commands && commands[0].Kind == SendKind.Snapshot && SendReplay.Knows(commands)) return new(commands, held, stream, bytes.Start);
        }
        catch
        {
            held.Dispose();
            throw;
        }
        held.Dispose();
        return null;
    }

    private sealed class IncomingAhead(BtrfsDriver driver, VolumeFolder folder, Prepared prepared, Guid identity, SnapshotView view, ShortStream stream) : IIncoming
    {
        private SendReplay? _replay;
        private bool _accepted;

        public string Identity => view.Identity;
        private string Live => folder.Live(prepared.Epoch);

        /// <summary>Under the volume's lock: what is looked at is what is written to.</summary>
        public VolumeOutcome Apply(VolumeFolder there)
        {
            if (Subvolume.Find(Live)?.Uuid != prepared.Uuid) throw Gone();
            _replay = SendReplay.Of(stream.Commands, Live);
            return VolumeOutcome.Done;
        }

        public async Task<SnapshotView> Accept(CancellationToken cancel)
        {
            if (_accepted) return view;
            try { await Task.Run(() => _replay!.Sync(Live), CancellationToken.None); }
            catch (System.ComponentModel.Win32Exception e) when (e.NativeErrorCode is Trees.TreeCalls.NoSpace or Trees.TreeCalls.OverQuota) { throw new IOException($"the pool is full: make room, then repeat ({e.Message})", e); }
            driver.Reached("received data synced");
            await driver.Alone(folder.Name, Record, cancel, settle: false);
            driver.Reached("snapshot renamed");
            return view;
        }

        private VolumeOutcome Record(VolumeFolder there)
        {
            if (there.FindSnapshot(view.Name) is { } known)
                // It came another way meanwhile: this copy of it goes with the attempt.
                return known.Identity == Identity ? VolumeOutcome.Done
                    : throw new InvalidOperationException($"another snapshot called {view.Name} ({known.Identity}) is here already: {Identity} is refused; snapshot names must be unique");
            if (there.ReadLedger() is not { } ledger || ledger.Known >= prepared.Epoch || Subvolume.Find(Live)?.Uuid != prepared.Uuid) throw Gone();
            // From here on the snapshot is here: its data was synced, and what the ledger says is on disk when it returns.
            (ledger with { Ready = new(view.Name, identity, prepared.Epoch) }).Write(there.Path);
            driver._pending[there.Name] = new(view, identity, new(prepared.Basis, stream));
            _accepted = true;
            return VolumeOutcome.Done;
        }

        private InvalidDataException Gone() => new($"{Live} was taken away while a difference arrived: send it again");

        public async ValueTask DisposeAsync()
        {
            _replay?.Dispose();
            if (_accepted) return;
            stream.Dispose();
            await driver.Alone(folder.Name, there =>
            {
                // Safe: neither mounted nor named by the ledger, and nobody was told that its contents arrived. What the ledger does name stays: it is whole.
                if (there.ReadLedger() is { } ledger && !(ledger.Live && ledger.Epoch == prepared.Epoch) && ledger.Ready?.Epoch != prepared.Epoch && Subvolume.Find(Live)?.Uuid == prepared.Uuid)
                    VolumeFolder.DeleteSubvolume(there.Lives, VolumeFolder.LiveName(prepared.Epoch));
                return VolumeOutcome.Done;
            }, CancellationToken.None, settle: false);
        }
    }

    /// <summary>Makes the read-only snapshot of one that is here only as ready live data. Before each verb that uses or removes others; never in the stop.</summary>
    private void Settle(VolumeFolder folder)
    {
        if (!_pending.TryGetValue(folder.Name, out var pending)) return;
        if (folder.FindSnapshot(pending.View.Name) is null)
        {
            if (IsReadyAs(folder.ReadLedger(), pending)) PlaceReady(folder, folder.ReadLedger()!.Ready!);
            else if (pending.Difference is { } difference)
            {
                try { Place(folder, pending.View.Name, pending.Identity, folder.SnapshotData(difference.Basis), data => SendReplay.Of(difference.Stream.Commands, data).Dispose()); }
                // Its contents were promoted, nothing is lost but a base for the way back. It must not keep the volume from anything: from making room least of all.
                catch (Exception e) when (e is IOException or System.ComponentModel.Win32Exception or InvalidDataException) { }
            }
        }
        Forget(folder.Name);
    }

    /// <summary>Under the volume's lock: nobody reads the difference any more.</summary>
    private void Forget(VolumeName volume)
    {
        if (_pending.TryRemove(volume, out var pending)) pending.Difference?.Stream.Dispose();
    }

    private static bool IsReadyAs(VolumeLedger? ledger, Pending pending) => ledger?.Ready is { } ready && ready.Snapshot == pending.View.Name && ready.Identity == pending.Identity;

    private void PlaceReady(VolumeFolder folder, ReadySnapshot ready) => Place(folder, ready.Snapshot, ready.Identity, folder.Live(ready.Epoch), _ => { });

    /// <summary>A read-only snapshot under its name, made of something and marked as the copy that it is.</summary>
    private void Place(VolumeFolder folder, SnapshotName name, Guid identity, string of, Action<string> change)
    {
        var attempt = Path.Combine(folder.Incoming, chance.NewGuid().ToString("N"));
        Native.MakePrivateFolder(folder.Incoming);
        Native.MakePrivateFolder(attempt);
        try
        {
            Subvolume.Snapshot(of, attempt, VolumeFolder.DataName, isReadOnly: false);
            var data = Path.Combine(attempt, VolumeFolder.DataName);
            change(data);
            Subvolume.SetReceivedUuid(data, identity);
            Subvolume.SetReadOnly(data, true);
            PutInPlace(folder, name, attempt);
        }
        catch
        {
            // Safe: this attempt's own folder; once it has its name it is gone from here.
            if (Directory.Exists(attempt)) DeleteTree(attempt);
            throw;
        }
    }

    /// <summary>
    /// Takes away what was made ready and is not wanted any more. Safe: its snapshot is read-only here by now (<see cref="Settle"/>) or goes by order, and it was never mounted. Where
    /// the ledger names what is gone, nothing is made of it, and nothing else takes its place before the ledger was written.
    /// </summary>
    /// <param name="makesRoom">The pool may be too full to write even that: it is written later, by whoever needs the place.</param>
    private void ForgetAhead(VolumeFolder folder, bool makesRoom = false)
    {
        var ledger = folder.ReadLedger();
        if (_prepared.TryRemove(folder.Name, out var prepared) && !(ledger is { Live: true } && ledger.Epoch == prepared.Epoch)) VolumeFolder.DeleteSubvolume(folder.Lives, VolumeFolder.LiveName(prepared.Epoch));
        if (ledger?.Ready is not { } ready) return;
        VolumeFolder.DeleteSubvolume(folder.Lives, VolumeFolder.LiveName(ready.Epoch));
        try { (ledger with { Ready = null }).Write(folder.Path); }
        catch (IOException) when (makesRoom) { }
    }

    /// <summary>After the start: the ledger alone says what is ready.</summary>
    private void RecoverReady(VolumeFolder folder)
    {
        if (folder.ReadLedger() is not { Ready: { } ready } ledger) return;
        if (Subvolume.Find(folder.Live(ready.Epoch)) is null) (ledger with { Ready = null }).Write(folder.Path);
        else if (folder.FindSnapshot(ready.Snapshot) is null)
        {
            // It was on disk before the ledger named it, and only a promotion, which the ledger would show, may have changed it since.
            try { PlaceReady(folder, ready); }
            // A full pool must not keep the agent, and every other volume, down: it is made before it is needed, and a promotion needs none.
            catch (Exception e) when (e is IOException or System.ComponentModel.Win32Exception) { _pending[folder.Name] = new(new(ready.Snapshot, ready.Identity.ToString(), ByteCount.Zero), ready.Identity, null); }
        }
    }
}
