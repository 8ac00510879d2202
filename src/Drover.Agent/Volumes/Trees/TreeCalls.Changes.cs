using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Drover.Agent.Volumes.Trees;

/// <summary>Changes of one kind to one entry.</summary>
internal static unsafe partial class TreeCalls
{
    public static void SetMode(SafeFileHandle parent, byte[] name, uint mode)
    {
        // A link has no mode of its own, and the call would change what it points to.
        if (Find(parent, name) is { Kind: EntryKind.Link }) return;
        if (ChmodAt(Number(parent), name, mode & 0xFFF, 0) != 0) throw Failed("set mode of", name);
    }

    public static void SetOwner(SafeFileHandle parent, byte[] name, uint user, uint group)
    {
        if (ChownAt(Number(parent), name, user, group, NoFollowAt) != 0) throw Failed("set owner of", name);
    }

    public static void SetTimes(SafeFileHandle parent, byte[] name, Moment accessed, Moment modified)
    {
        var times = stackalloc long[4] { accessed.Seconds, accessed.Nanoseconds, modified.Seconds, modified.Nanoseconds };
        if (TimesAt(Number(parent), name, times, NoFollowAt) != 0) throw Failed("set time of", name);
    }

    public static void Rename(SafeFileHandle from, byte[] old, SafeFileHandle to, byte[] name)
    {
        if (RenameAt(Number(from), old, Number(to), name) != 0) throw Failed("rename", old);
    }

    /// <summary>One entry; a folder only when it is empty. Callers say why that is safe.</summary>
    public static void RemoveEntry(SafeFileHandle parent, byte[] name, bool isFolder)
    {
        if (UnlinkAt(Number(parent), name, isFolder ? RemoveFolderAt : 0) != 0) throw Failed("remove", name);
    }

    [LibraryImport("libc", EntryPoint = "renameat", SetLastError = true)]
    private static partial int RenameAt(int from, byte[] old, int to, byte[] name);
}
