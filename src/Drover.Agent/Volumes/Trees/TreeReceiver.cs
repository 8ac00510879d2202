using System.ComponentModel;
using System.IO.Pipelines;
using Microsoft.Win32.SafeHandles;

namespace Drover.Agent.Volumes.Trees;

/// <summary>Whom a stream is of, and whom it was made against.</summary>
internal readonly record struct TreeHeader(Guid Identity, Guid? Base);

/// <summary>
/// Makes a tree of a tree-1 stream. Whoever sends may be hostile: entries are reached name by name from the root through no link, and what cannot be is refused.
/// The caller drops the tree when this throws.
/// </summary>
internal sealed class TreeReceiver : IDisposable
{
    private readonly TreeRecordReader _in;
    private TreeFolders _folders = null!;
    private bool _filesAreShared;
    private OpenFile? _open;

    public TreeReceiver(PipeReader from) => _in = new(from);

    /// <summary>A file between its record and its end.</summary>
    private sealed record OpenFile(SafeFileHandle File, TreePath Path, long Size, TreeMeta Meta, bool IsPatch)
    {
        public ContentHash Hash { get; } = new();
        public long Next { get; set; }
    }

    public async Task<TreeHeader> Header(CancellationToken cancel)
    {
        await _in.Magic(cancel);
        await _in.Next(cancel);
        if (_in.Kind != TreeRecord.Header) throw _in.Wrong("comes where the header should");
        var identity = _in.Identity();
        var hasBase = _in.Byte();
        var basis = _in.Identity();
        _in.AtEnd();
        return hasBase <= 1 && identity != Guid.Empty ? new(identity, hasBase == 1 ? basis : null) : throw _in.Wrong("is no header");
    }

    /// <summary>The rest of the stream.</summary>
    /// <param name="root">Where the tree is to be: empty, or a copy of the base.</param>
    /// <param name="filesAreShared">Files of that copy are the base's own by further names: a changed one is made anew beside, never written in place.</param>
    public async Task Apply(string root, bool filesAreShared, CancellationToken cancel)
    {
        (_folders, _filesAreShared) = (new(root), filesAreShared);
        while (true)
        {
            await _in.Next(cancel);
            if (_in.Kind == TreeRecord.End) break;
            try { One(); }
            catch (Win32Exception e) when (e.NativeErrorCode is TreeCalls.NoSpace or TreeCalls.OverQuota) { throw new IOException($"the pool is full: make room, then repeat ({e.Message})", e); }
            // .NET keeps the kernel's error number there.
            catch (IOException e) when (e.HResult is TreeCalls.NoSpace or TreeCalls.OverQuota) { throw new IOException($"the pool is full: make room, then repeat ({e.Message})", e); }
            catch (Win32Exception e) when (e.NativeErrorCode == TreeCalls.NotSupported) { throw new IOException($"the pool's filesystem cannot hold what the volume has: {e.Message}", e); }
            // Sorted out where it can be foreseen; whatever else the kernel refuses is no fault of the tree here, which nobody else works in.
            catch (Win32Exception e) { throw new InvalidDataException($"record {_in.Count - 1} ({_in.Kind}) cannot be done: {e.Message}", e); }
        }
        if (_open is not null) throw _in.Wrong("comes before its file's end");
        if (_in.Number64() != _in.Count - 1) throw _in.Wrong("counts other records than came");
        _in.AtEnd();
        await _in.Finished(cancel);
    }

    private void One()
    {
        switch (_in.Kind)
        {
            case TreeRecord.Block: Block(); return;
            case TreeRecord.Zero: Zero(); return;
            case TreeRecord.FileEnd: EndFile(); return;
        }
        if (_open is not null) throw _in.Wrong("comes before its file's end");
        switch (_in.Kind)
        {
            case TreeRecord.Folder: MakeFolder(); return;
            case TreeRecord.Meta: SetMeta(); return;
            case TreeRecord.File: BeginFile(); return;
            case TreeRecord.Link: MakeLink(); return;
            case TreeRecord.Node: MakeNode(); return;
            case TreeRecord.HardLink: MakeHardLink(); return;
            case TreeRecord.Remove: Remove(); return;
            default: throw _in.Wrong("is of no known kind");
        }
    }

    private SafeFileHandle Parent(TreePath path) => _folders.ParentOf(path) ?? throw _in.Wrong($"is in a folder that is not there: '{path}'");

    private void MakeFolder()
    {
        var path = _in.Path();
        _in.AtEnd();
        TreeCalls.MakeFolder(Parent(path), path.Last);
    }

    private void SetMeta()
    {
        var path = _in.Path(mayBeRoot: true);
        var meta = _in.Meta();
        _in.AtEnd();
        if (TreeCalls.Find(Parent(path), path.Last) is not { Kind: EntryKind.Folder }) throw _in.Wrong($"is about no folder: '{path}'");
        TreeCalls.SetMeta(Parent(path), path.Last, EntryKind.Folder, meta);
    }

    private void BeginFile()
    {
        var path = _in.Path();
        var (isPatch, size, meta) = (_in.Byte(), _in.Number64(), _in.Meta());
        _in.AtEnd();
        if (isPatch > 1 || size is < 0 or > TreeFormat.LargestFile) throw _in.Wrong("has a size that cannot be");
        var parent = Parent(path);
        var file = isPatch == 1 ? OpenOfBase(parent, path) : TreeCalls.OpenToWrite(parent, MakeRoom(parent, path), isNew: true);
        _open = new(file, path, size, meta, isPatch == 1);
        TreeCalls.Resize(file, size);
    }

    private SafeFileHandle OpenOfBase(SafeFileHandle parent, TreePath path)
    {
        if (TreeCalls.Find(parent, path.Last) is not { Kind: EntryKind.File } known) throw _in.Wrong($"changes what is no file: '{path}'");
        if (!_filesAreShared && known.Links == 1) return TreeCalls.OpenToWrite(parent, path.Last, isNew: false);
        using var old = TreeCalls.OpenToRead(parent, path.Last) ?? throw _in.Wrong($"changes a file that is gone: '{path}'");
        // Safe: only this name goes; the base keeps the file by its own, and it is open here until it is copied.
        TreeCalls.Remove(parent, path.Last);
        var fresh = TreeCalls.OpenToWrite(parent, path.Last, isNew: true);
        TreeFiles.Copy(old, fresh, known.Size);
        return fresh;
    }

    /// <summary>Takes away what a new entry replaces, unless it is a folder: those go by a record of their own.</summary>
    private byte[] MakeRoom(SafeFileHandle parent, TreePath path)
    {
        if (TreeCalls.Find(parent, path.Last) is not { } known) return path.Last;
        if (known.Kind == EntryKind.Folder) throw _in.Wrong($"takes the place of a folder: '{path}'");
        // Safe: the tree is this attempt's own; the base has its own name for it.
        TreeCalls.Remove(parent, path.Last);
        return path.Last;
    }

    private void Block()
    {
        var at = _in.Number64();
        var data = _in.Rest();
        var file = Within(at, data.Length);
        if (data.Length != Math.Min(TreeFormat.BlockSize, file.Size - at)) throw _in.Wrong("is no whole block");
        file.Hash.Add(at, data);
        RandomAccess.Write(file.File, data, at);
    }

    private void Zero()
    {
        var (at, length) = (_in.Number64(), _in.Number64());
        _in.AtEnd();
        var file = Within(at, length);
        if (length > TreeFormat.BlockSize) throw _in.Wrong("is no whole block");
        Span<byte> zeros = new byte[length];
        RandomAccess.Write(file.File, zeros, at);
    }

    /// <summary>Blocks come in order and lie in their file.</summary>
    private OpenFile Within(long at, long length)
    {
        if (_open is not { } file) throw _in.Wrong("belongs to no file");
        if (at < file.Next || at % TreeFormat.BlockSize != 0 || length <= 0 || at > file.Size - length) throw _in.Wrong("lies outside its file or out of order");
        file.Next = at + length;
        return file;
    }

    private void EndFile()
    {
        if (_open is not { } file) throw _in.Wrong("belongs to no file");
        Span<byte> here = stackalloc byte[16];
        // Of a changed file all is read again: that the base was the same as the sender's is shown by nothing less.
        if (file.IsPatch) TreeFiles.Hash(file.File, file.Size, here);
        else file.Hash.Value(here);
        if (!_in.Hash().SequenceEqual(here)) throw _in.Wrong($"shows that '{file.Path}' is not as it was sent");
        _in.AtEnd();
        file.File.Dispose();
        _open = null;
        TreeCalls.SetMeta(Parent(file.Path), file.Path.Last, EntryKind.File, file.Meta);
    }

    private void MakeLink()
    {
        var path = _in.Path();
        var meta = _in.Meta();
        var target = _in.Bytes(TreeFormat.LongestTarget);
        if (target.IsEmpty || target.Contains((byte)0)) throw _in.Wrong("is a link to nothing");
        var raw = RawName.Of(target);
        _in.AtEnd();
        var parent = Parent(path);
        TreeCalls.MakeLink(parent, MakeRoom(parent, path), raw);
        TreeCalls.SetMeta(parent, path.Last, EntryKind.Link, meta);
    }

    private void MakeNode()
    {
        var path = _in.Path();
        var meta = _in.Meta();
        var (kind, major, minor) = ((EntryKind)_in.Byte(), _in.Number32(), _in.Number32());
        _in.AtEnd();
        if (kind is not (EntryKind.Fifo or EntryKind.Socket or EntryKind.Character or EntryKind.Block)) throw _in.Wrong("is no node");
        var parent = Parent(path);
        TreeCalls.MakeNode(parent, MakeRoom(parent, path), kind, major, minor);
        TreeCalls.SetMeta(parent, path.Last, kind, meta);
    }

    private void MakeHardLink()
    {
        var (path, first) = (_in.Path(), _in.Path());
        _in.AtEnd();
        MakeRoom(Parent(path), path);
        // Each has its own way from the root: the cache holds one folder only, and this one must stay open.
        using var others = _folders.Another();
        var from = others.ParentOf(first) ?? throw _in.Wrong($"is a further name of what is not there: '{first}'");
        if (TreeCalls.Find(from, first.Last) is not { } known || known.Kind == EntryKind.Folder) throw _in.Wrong($"is a further name of what is no file: '{first}'");
        var error = TreeCalls.HardLink(from, first.Last, Parent(path), path.Last);
        if (error != 0) throw Native.Failed("make a further name", path.ToString(), error);
    }

    private void Remove()
    {
        var path = _in.Path();
        _in.AtEnd();
        // Safe: the tree is this attempt's own; the base has its own name for it.
        TreeCalls.Remove(Parent(path), path.Last);
        _folders.Forget();
    }

    public void Dispose()
    {
        _open?.File.Dispose();
        _folders?.Dispose();
    }
}
