using Microsoft.Win32.SafeHandles;

namespace Drover.Agent.Volumes.Trees;

/// <summary>Copies a tree on one filesystem.</summary>
internal static class TreeCopy
{
    /// <summary>Folders anew, everything in them by a further name: quick, and safe as long as nobody writes to a file of either.</summary>
    public static void Link(string from, string to, CancellationToken cancel) => Whole(from, to, linked: true, cancel);

    /// <summary>Everything anew; blocks of files are shared where the filesystem copies them when they are written.</summary>
    public static void Deep(string from, string to, CancellationToken cancel) => Whole(from, to, linked: false, cancel);

    private static void Whole(string from, string to, bool linked, CancellationToken cancel)
    {
        using var source = TreeCalls.OpenRoot(from);
        using var target = TreeCalls.OpenRoot(to);
        using var work = new Work(to, linked, cancel);
        work.Inside(source, target, []);
        work.Meta(source, RawName.Here, target, RawName.Here);
    }

    private sealed class Work(string to, bool linked, CancellationToken cancel) : IDisposable
    {
        private readonly Dictionary<(ulong, ulong), byte[]> _first = [];
        private readonly TreeFolders _folders = new(to);

        public void Inside(SafeFileHandle from, SafeFileHandle target, byte[] path)
        {
            foreach (var name in TreeCalls.Names(from))
            {
                cancel.ThrowIfCancellationRequested();
                if (TreeCalls.Find(from, name) is not { } entry) continue;
                byte[] below = path.Length == 0 ? RawName.Bytes(name).ToArray() : [.. path, (byte)'/', .. RawName.Bytes(name)];
                if (entry.Kind == EntryKind.Folder) Folder(from, target, name, below);
                else if (!Named(from, target, name, entry, below)) Anew(from, target, name, entry);
            }
        }

        public void Meta(SafeFileHandle from, byte[] name, SafeFileHandle target, byte[] called)
        {
            if (TreeCalls.Find(from, name) is { } entry) TreeCalls.SetMeta(target, called, entry.Kind, entry.Meta(TreeAttributes.Of(from, name)));
        }

        private void Folder(SafeFileHandle from, SafeFileHandle target, byte[] name, byte[] path)
        {
            // Copied are snapshots, where nothing goes away by itself.
            using var inside = TreeCalls.OpenFolder(from, name) ?? throw new IOException($"the folder '{RawName.Text(path)}' went away while it was copied: the snapshot was removed or is damaged");
            TreeCalls.MakeFolder(target, name);
            using var made = TreeCalls.OpenFolder(target, name) ?? throw TreeCalls.Failed("open", name);
            Inside(inside, made, path);
            Meta(inside, RawName.Here, target, name);
        }

        /// <summary>By a further name of the source's, or of a copy of it that was made before under another.</summary>
        private bool Named(SafeFileHandle from, SafeFileHandle target, byte[] name, TreeEntry entry, byte[] path)
        {
            if (linked)
            {
                var error = TreeCalls.HardLink(from, name, target, name);
                return error == 0 || (error == TreeCalls.TooManyLinks ? false : throw Native.Failed("make a further name", RawName.Text(path), error));
            }
            if (entry.Links < 2 || _first.TryAdd(entry.Key(), path)) return false;
            var first = TreePath.Parse(_first[entry.Key()], mayBeRoot: false)!.Value;
            return _folders.ParentOf(first) is { } folder && TreeCalls.HardLink(folder, first.Last, target, name) == 0;
        }

        private void Anew(SafeFileHandle from, SafeFileHandle target, byte[] name, TreeEntry entry)
        {
            switch (entry.Kind)
            {
                case EntryKind.File:
                    using (var old = TreeCalls.OpenToRead(from, name))
                    {
                        if (old is null) return;
                        using var fresh = TreeCalls.OpenToWrite(target, name, isNew: true);
                        TreeFiles.Copy(old, fresh, entry.Size);
                    }
                    break;
                case EntryKind.Link: TreeCalls.MakeLink(target, name, RawName.Of(TreeCalls.ReadLink(from, name))); break;
                default: TreeCalls.MakeNode(target, name, entry.Kind, entry.Major, entry.Minor); break;
            }
            Meta(from, name, target, name);
        }

        public void Dispose() => _folders.Dispose();
    }
}
