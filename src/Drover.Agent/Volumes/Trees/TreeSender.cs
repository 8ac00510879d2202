using System.IO.Pipelines;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Drover.Agent.Volumes.Trees;

/// <summary>Whether an entry of the tree and the base's entry at its path are known to be the same without a look at their contents.</summary>
internal delegate bool KnownSame(TreeEntry now, TreeEntry before);

/// <summary>A tree to send, and what its copy is called everywhere.</summary>
internal sealed record TreeSource(string Root, Guid Identity);

/// <summary>Writes a tree as a tree-1 stream, or its difference to another. Entries in the order of their bytes, so that the same trees give the same stream.</summary>
/// <param name="isStill">Nobody changes the tree: an entry that goes away while it is sent is an error. Where not (live data), it is as if it had gone before.</param>
/// <param name="hidden">An entry directly at the root that belongs to the filesystem, not to the tree.</param>
internal sealed class TreeSender(PipeWriter to, KnownSame same, bool isStill, string? hidden = null)
{
    private readonly byte[]? _hidden = hidden is null ? null : RawName.Of(Encoding.UTF8.GetBytes(hidden));
    private readonly TreeRecordWriter _out = new(to);
    private readonly FirstPaths _first = new(), _firstBefore = new();
    private readonly HashSet<(ulong, ulong)> _sent = [];
    private readonly byte[] _now = new byte[TreeFormat.BlockSize], _before = new byte[TreeFormat.BlockSize];

    public async Task Send(TreeSource tree, TreeSource? basis, CancellationToken cancel)
    {
        _out.Magic();
        _out.Begin(TreeRecord.Header).Identity(tree.Identity).Byte((byte)(basis is null ? 0 : 1)).Identity(basis?.Identity ?? Guid.Empty);
        await _out.Done(cancel);
        using var root = TreeCalls.OpenRoot(tree.Root);
        using var before = basis is null ? null : TreeCalls.OpenRoot(basis.Root);
        var place = new Place(root, before, [], 0);
        var touched = await Inside(place, cancel);
        var now = TreeCalls.Find(root, RawName.Here) ?? throw new IOException($"{tree.Root} went away while it was sent");
        await Meta(root, RawName.Here, [], now, touched ? null : before, cancel);
        _out.Begin(TreeRecord.End).Number(_out.Count);
        await _out.Done(cancel);
        await _out.Flush(cancel);
    }

    /// <summary>One folder in both trees.</summary>
    private readonly record struct Place(SafeFileHandle Now, SafeFileHandle? Before, byte[] Path, int Depth)
    {
        public byte[] Below(byte[] name) => Path.Length == 0 ? RawName.Bytes(name).ToArray() : [.. Path, (byte)'/', .. RawName.Bytes(name)];
    }

    /// <summary>True when it wrote anything of what is directly inside.</summary>
    private async Task<bool> Inside(Place place, CancellationToken cancel)
    {
        if (place.Depth > TreeFormat.Deepest) throw TooDeep(place.Path);
        var now = Names(place.Now, place.Depth);
        var before = place.Before is null ? [] : Names(place.Before, place.Depth);
        var touched = false;
        for (int n = 0, b = 0; n < now.Count || b < before.Count;)
        {
            cancel.ThrowIfCancellationRequested();
            var order = n == now.Count ? 1 : b == before.Count ? -1 : now[n].AsSpan().SequenceCompareTo(before[b]);
            var name = order <= 0 ? now[n] : before[b];
            touched |= await Entry(place, name, order <= 0, order >= 0, cancel);
            if (order <= 0) n++;
            if (order >= 0) b++;
        }
        return touched;
    }

    private List<byte[]> Names(SafeFileHandle folder, int depth)
    {
        var names = TreeCalls.Names(folder);
        if (depth == 0 && _hidden is not null) names.RemoveAll(n => n.AsSpan().SequenceEqual(_hidden));
        return names;
    }

    private async Task<bool> Entry(Place place, byte[] name, bool isNow, bool isBefore, CancellationToken cancel)
    {
        var path = place.Below(name);
        var now = isNow ? TreeCalls.Find(place.Now, name) ?? Gone(path) : null;
        var before = isBefore ? TreeCalls.Find(place.Before!, name) : null;
        var firstBefore = before is { } known ? _firstBefore.Of(known, path) : null;
        if (before is { Kind: EntryKind.Folder } && now is not { Kind: EntryKind.Folder }) Register(place.Before!, name, path, place.Depth + 1);
        if (now is null) return before is not null && await Remove(path, cancel);
        if (before is { } other && other.Kind != now.Value.Kind)
        {
            await Remove(path, cancel);
            before = null;
        }
        switch (now.Value.Kind)
        {
            case EntryKind.Folder: return await Folder(place, name, path, now.Value, before, cancel);
            case EntryKind.File: return await File(place, name, path, now.Value, before, firstBefore, cancel);
            default: return await Small(place, name, path, now.Value, before, firstBefore, cancel);
        }
    }

    private TreeEntry? Gone(byte[] path) => isStill ? throw new IOException($"'{RawName.Text(path)}' went away while it was sent: the snapshot was removed or is damaged") : null;

    private static IOException TooDeep(byte[] path) =>
        new($"folders are nested deeper than the {TreeFormat.Deepest} that a stream carries: move what is in the volume's '{Start(path)}' nearer to its root, or keep the volume on btrfs nodes, which have no such limit");

    /// <summary>Enough of a long path to find it by.</summary>
    private static string Start(byte[] path) => path.Length <= 200 ? RawName.Text(path) : RawName.Text(path.AsSpan(0, 200)) + "…";

    /// <summary>A folder that is gone may have held the first of an inode's names.</summary>
    private void Register(SafeFileHandle parent, byte[] name, byte[] path, int depth)
    {
        if (depth > TreeFormat.Deepest) throw TooDeep(path);
        using var folder = TreeCalls.OpenFolder(parent, name);
        if (folder is null) return;
        foreach (var inside in TreeCalls.Names(folder))
        {
            byte[] below = [.. path, (byte)'/', .. RawName.Bytes(inside)];
            if (TreeCalls.Find(folder, inside) is not { } entry) continue;
            if (entry.Kind == EntryKind.Folder) Register(folder, inside, below, depth + 1);
            else _firstBefore.Of(entry, below);
        }
    }

    private async Task<bool> Remove(byte[] path, CancellationToken cancel)
    {
        _out.Begin(TreeRecord.Remove).Bytes(path);
        await _out.Done(cancel);
        return true;
    }

    private async Task<bool> Folder(Place place, byte[] name, byte[] path, TreeEntry now, TreeEntry? before, CancellationToken cancel)
    {
        using var here = TreeCalls.OpenFolder(place.Now, name);
        if (here is null) return Gone(path) is null && before is not null && await Remove(path, cancel);
        using var there = before is null ? null : TreeCalls.OpenFolder(place.Before!, name);
        if (before is null)
        {
            _out.Begin(TreeRecord.Folder).Bytes(path);
            await _out.Done(cancel);
        }
        var touched = await Inside(new(here, there, path, place.Depth + 1), cancel);
        await Meta(here, RawName.Here, path, now, touched ? null : there, cancel);
        return before is null;
    }

    /// <summary>After all that is inside, which would change its time. Left out when the base has it so already.</summary>
    private async Task Meta(SafeFileHandle folder, byte[] name, byte[] path, TreeEntry now, SafeFileHandle? before, CancellationToken cancel)
    {
        var meta = now.Meta(TreeAttributes.Of(folder, name));
        if (before is not null && TreeCalls.Find(before, name) is { } old && meta.SameAs(old.Meta(TreeAttributes.Of(before, name)))) return;
        _out.Begin(TreeRecord.Meta).Bytes(path).Meta(meta);
        await _out.Done(cancel);
    }

    /// <summary>Links and nodes: written whole when anything of them differs.</summary>
    private async Task<bool> Small(Place place, byte[] name, byte[] path, TreeEntry now, TreeEntry? before, byte[]? firstBefore, CancellationToken cancel)
    {
        if (await Again(now, path, before, firstBefore, cancel) is { } linked) return linked;
        var meta = now.Meta(TreeAttributes.Of(place.Now, name));
        var target = now.Kind == EntryKind.Link ? TreeCalls.ReadLink(place.Now, name) : [];
        if (before is { } old && IsFirst(firstBefore, path) && (old.Major, old.Minor) == (now.Major, now.Minor) && meta.SameAs(old.Meta(TreeAttributes.Of(place.Before!, name)))
            && (now.Kind != EntryKind.Link || target.AsSpan().SequenceEqual(TreeCalls.ReadLink(place.Before!, name)))) return false;
        if (now.Kind == EntryKind.Link) _out.Begin(TreeRecord.Link).Bytes(path).Meta(meta).Bytes(target);
        else _out.Begin(TreeRecord.Node).Bytes(path).Meta(meta).Byte((byte)now.Kind).Number(now.Major).Number(now.Minor);
        await _out.Done(cancel);
        _sent.Add(now.Key());
        return true;
    }

    private async Task<bool> File(Place place, byte[] name, byte[] path, TreeEntry now, TreeEntry? before, byte[]? firstBefore, CancellationToken cancel)
    {
        if (await Again(now, path, before, firstBefore, cancel) is { } linked) return linked;
        if (before is { } known && IsFirst(firstBefore, path) && same(now, known)) return false;
        if (now.Size > TreeFormat.LargestFile) throw new IOException($"'{RawName.Text(path)}' claims {now.Size} bytes, a stream carries files of at most {TreeFormat.LargestFile}: make it smaller");
        using var file = TreeCalls.OpenToRead(place.Now, name);
        if (file is null) return Gone(path) is null && before is not null && await Remove(path, cancel);
        using var basis = before is null ? null : TreeCalls.OpenToRead(place.Before!, name);
        var meta = now.Meta(TreeAttributes.Of(place.Now, name));
        // A name that shared its file with an earlier one does so no more: it gets a file of its own in any case.
        var isOther = before is not { } old || !IsFirst(firstBefore, path) || old.Size != now.Size || !meta.SameAs(old.Meta(TreeAttributes.Of(place.Before!, name)));
        return await Contents(new(file, basis, path, now.Size, before?.Size ?? 0, meta), isOther, now.Key(), cancel);
    }

    private sealed record OpenPair(SafeFileHandle Now, SafeFileHandle? Before, byte[] Path, long Size, long SizeBefore, TreeMeta Meta);

    /// <summary>The blocks that differ, and the hash of all. A file that turns out to be as in the base is not named at all.</summary>
    private async Task<bool> Contents(OpenPair pair, bool begun, (ulong, ulong) key, CancellationToken cancel)
    {
        var hash = new ContentHash();
        if (begun) await BeginFile(pair, key, cancel);
        for (var at = NextBlock(pair, 0); at < pair.Size; at = NextBlock(pair, at + TreeFormat.BlockSize))
        {
            cancel.ThrowIfCancellationRequested();
            var length = (int)Math.Min(TreeFormat.BlockSize, pair.Size - at);
            Read(pair.Now, _now, at, length);
            var isZero = TreeFormat.IsZero(_now.AsSpan(0, length));
            if (!isZero) hash.Add(at, _now.AsSpan(0, length));
            if (pair.Before is null && isZero) continue;
            if (pair.Before is not null)
            {
                Read(pair.Before, _before, at, length);
                if (_now.AsSpan(0, length).SequenceEqual(_before.AsSpan(0, length))) continue;
            }
            if (!begun) await BeginFile(pair, key, cancel);
            begun = true;
            if (isZero) _out.Begin(TreeRecord.Zero).Number(at).Number((long)length);
            else _now.AsSpan(0, length).CopyTo(_out.Begin(TreeRecord.Block).Number(at).Rest(length));
            await _out.Done(cancel);
        }
        if (!begun) return false;
        hash.Value(_out.Begin(TreeRecord.FileEnd).Rest(16));
        await _out.Done(cancel);
        return true;
    }

    private async Task BeginFile(OpenPair pair, (ulong, ulong) key, CancellationToken cancel)
    {
        _out.Begin(TreeRecord.File).Bytes(pair.Path).Byte((byte)(pair.Before is null ? 0 : 1)).Number(pair.Size).Meta(pair.Meta);
        await _out.Done(cancel);
        _sent.Add(key);
    }

    /// <summary>The next block at or after this one in which either file may hold something.</summary>
    private static long NextBlock(OpenPair pair, long at)
    {
        var next = TreeCalls.NextData(pair.Now, at, pair.Size);
        if (pair.Before is not null) next = Math.Min(next, TreeCalls.NextData(pair.Before, at, Math.Min(pair.SizeBefore, pair.Size)) is var b && b < Math.Min(pair.SizeBefore, pair.Size) ? b : pair.Size);
        return next >= pair.Size ? pair.Size : next / TreeFormat.BlockSize * TreeFormat.BlockSize;
    }

    /// <summary>Beyond its end a file is as if of zeros; one that is cut while it is read too.</summary>
    private static void Read(SafeFileHandle file, byte[] to, long at, int length)
    {
        var got = 0;
        while (got < length && RandomAccess.Read(file, to.AsSpan(got, length - got), at + got) is > 0 and var read) got += read;
        to.AsSpan(got, length - got).Clear();
    }

    /// <summary>A further name of what came before under another. Null: it is the first of its names.</summary>
    private async Task<bool?> Again(TreeEntry now, byte[] path, TreeEntry? before, byte[]? firstBefore, CancellationToken cancel)
    {
        var first = _first.Of(now, path);
        if (IsFirst(first, path)) return null;
        if (before is { } old && firstBefore.AsSpan().SequenceEqual(first) && !_sent.Contains(now.Key()) && old.Kind == now.Kind) return false;
        _out.Begin(TreeRecord.HardLink).Bytes(path).Bytes(first);
        await _out.Done(cancel);
        return true;
    }

    private static bool IsFirst(byte[]? first, byte[] path) => first is null || first.AsSpan().SequenceEqual(path);

    /// <summary>Where an inode with several names was met first.</summary>
    private sealed class FirstPaths
    {
        private readonly Dictionary<(ulong, ulong), byte[]> _paths = [];

        public byte[]? Of(TreeEntry entry, byte[] path)
        {
            if (entry.Links < 2 || entry.Kind == EntryKind.Folder) return null;
            if (_paths.TryGetValue(entry.Key(), out var first)) return first;
            _paths[entry.Key()] = path;
            return path;
        }
    }
}

internal static class TreeKeys
{
    /// <summary>Names of one inode have the same.</summary>
    public static (ulong, ulong) Key(this TreeEntry entry) => (entry.Device, entry.Inode);
}
