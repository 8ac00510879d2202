using Microsoft.Win32.SafeHandles;

namespace Drover.Agent.Volumes.Trees;

/// <summary>Copies a tree on one filesystem, however deep it is.</summary>
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
        using var work = new Work(source, target, to, linked, cancel);
        work.All();
    }

    /// <summary>Where an entry is, told by its folder's place: a path of its own for each would be as long as the tree is deep.</summary>
    private sealed record Place(Place? Folder, byte[] Name)
    {
        public TreePath Path()
        {
            var names = new Stack<byte[]>();
            for (var at = this; at is not null; at = at.Folder) names.Push(at.Name);
            return new([.. names]);
        }
    }

    private sealed class Work(SafeFileHandle source, SafeFileHandle target, string to, bool linked, CancellationToken cancel) : IDisposable
    {
        private readonly Dictionary<(ulong, ulong), Place> _first = [];
        private readonly TreeFolders _folders = new(to);
        private readonly FolderWalk _from = new(source), _to = new(target);

        /// <summary>Both trees are walked side by side; a folder gets its own attributes when all in it is done, which changes its time.</summary>
        public void All()
        {
            var above = new Stack<(Place? Folder, Queue<byte[]> Inside)>();
            above.Push((null, new(TreeCalls.Names(_from.Here))));
            while (above.TryPeek(out var at))
            {
                cancel.ThrowIfCancellationRequested();
                if (at.Inside.TryDequeue(out var name))
                {
                    var place = new Place(at.Folder, name);
                    if (TreeCalls.Find(_from.Here, name) is not { } entry) continue;
                    if (entry.Kind == EntryKind.Folder) { Enter(place); above.Push((place, new(TreeCalls.Names(_from.Here)))); }
                    else if (!Named(_from.Here, _to.Here, place, entry)) Anew(_from.Here, _to.Here, name, entry);
                    continue;
                }
                above.Pop();
                Meta(_from.Here, RawName.Here, _to.Here, RawName.Here);
                if (above.Count == 0) return;
                _from.Leave();
                _to.Leave();
            }
        }

        private void Enter(Place place)
        {
            // Copied are snapshots, where nothing goes away by itself.
            if (!_from.Enter(place.Name)) throw new IOException($"the folder '{place.Path()}' went away while it was copied: the snapshot was removed or is damaged");
            TreeCalls.MakeFolder(_to.Here, place.Name);
            if (!_to.Enter(place.Name)) throw TreeCalls.Failed("open", place.Name);
        }

        private static void Meta(SafeFileHandle from, byte[] name, SafeFileHandle target, byte[] called)
        {
            if (TreeCalls.Find(from, name) is { } entry) TreeCalls.SetMeta(target, called, entry.Kind, entry.Meta(TreeAttributes.Of(from, name)));
        }

        /// <summary>By a further name of the source's, or of a copy of it that was made before under another.</summary>
        private bool Named(SafeFileHandle from, SafeFileHandle target, Place place, TreeEntry entry)
        {
            var name = place.Name;
            if (linked)
            {
                var error = TreeCalls.HardLink(from, name, target, name);
                return error == 0 || (error == TreeCalls.TooManyLinks ? false : throw Native.Failed("make a further name", place.Path().ToString(), error));
            }
            if (entry.Links < 2 || _first.TryAdd(entry.Key(), place)) return false;
            var first = _first[entry.Key()].Path();
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

        public void Dispose()
        {
            _folders.Dispose();
            _from.Dispose();
            _to.Dispose();
        }
    }
}
