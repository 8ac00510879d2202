using System.IO.Pipelines;
using Drover.Agent.Volumes.Trees;

namespace Drover.Agent.Volumes.Zfs;

/// <summary>Streams in the format that every driver knows.</summary>
public sealed partial class ZfsDriver
{
    private async Task SendTree(ZfsPlaces places, ZfsSnapshot what, ZfsSnapshot? basis, PipeWriter to, CancellationToken cancel)
    {
        await using var now = await Sight.Open(this, places, what);
        await using var before = basis is null ? null : await Sight.Open(this, places, basis);
        // A second before the base was taken, by the clock that its files' times are of: where one changed about then, a coarse clock could hide one more change.
        var taken = new Moment((basis?.Taken ?? 0) - 1, 0);
        bool Same(TreeEntry n, TreeEntry b) => n with { Device = 0, Links = 0 } == b with { Device = 0, Links = 0 } && b.Changed.CompareTo(taken) < 0;
        // `.zfs` shows all snapshots in themselves, where somebody made it visible.
        var sender = new TreeSender(to, Same, isStill: true, hidden: ".zfs");
        await Task.Run(() => sender.Send(new(now.Path, what.Identity), before is null ? null : new(before.Path, basis!.Identity), cancel), cancel);
    }

    private static async Task ReceiveTree(Incoming attempt, ZfsSnapshot? basis, PipeReader stream, CancellationToken cancel)
    {
        using var receiver = new TreeReceiver(stream);
        var header = await receiver.Header(cancel);
        if (header.Base != basis?.Identity) throw new BaseUnusable($"the stream of {attempt.Name} needs base {header.Base?.ToString() ?? "none"}, here is {basis?.Identity.ToString() ?? "none"}");
        await attempt.Open(basis);
        await Task.Run(() => receiver.Apply(attempt.Path, filesAreShared: false, cancel), cancel);
        await stream.CompleteAsync();
        receiver.Dispose();
        await attempt.Close(header.Identity);
    }

    /// <summary>A snapshot to be looked into: as a clone, mounted read-only. What `zfs` mounts below `.zfs` by itself stays when it is in the way.</summary>
    private sealed class Sight(ZfsDriver driver, string dataset, string path) : IAsyncDisposable
    {
        public string Path => path;

        public static async Task<Sight> Open(ZfsDriver driver, ZfsPlaces places, ZfsSnapshot snapshot)
        {
            var id = driver.NewId();
            var view = new Sight(driver, places.View(id), places.ViewPath(id));
            try
            {
                driver._used[places.View(id)] = true;
                ZfsPlaces.MakeMountPoint(view.Path);
                await driver.Clone(snapshot, places.View(id), "-o", "canmount=noauto", "-o", $"mountpoint={view.Path}");
                if (await driver.Show(places.View(id), view.Path) is { } hidden) throw new IOException(hidden.Message);
                // Not by the dataset's own flag: with that, zfs-fuse shows no extended attributes.
                return Native.SetFilesystemReadOnly(view.Path, true) is not 0 and var error ? throw Native.Failed("make read-only", view.Path, error) : view;
            }
            catch
            {
                await view.DisposeAsync();
                throw;
            }
        }

        public async ValueTask DisposeAsync()
        {
            ZfsPlaces.Leave(path);
            // Safe: a clone that was only looked at. One that is busy still goes when the volume is put in order.
            await driver._zfs.Patiently("destroy", dataset);
            driver._used.TryRemove(dataset, out _);
        }
    }

    private string NewId() => chance.NewGuid().ToString("N");
}
