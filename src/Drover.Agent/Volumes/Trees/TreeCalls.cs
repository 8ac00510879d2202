using System.Buffers.Binary;
using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Drover.Agent.Volumes.Trees;

/// <summary>
/// Linux calls on entries of an open folder. Names are single components and no call follows a symbolic link, so nothing outside the folder can be reached;
/// and names are bytes, because a volume's files may be called anything. Numbers and layouts from linux/stat.h, linux/fcntl.h, dirent.h.
/// </summary>
internal static unsafe partial class TreeCalls
{
    public const int NoEntry = 2, Exists = 17, NoSpace = 28, OverQuota = 122, TooManyLinks = 31, NoData = 61, NotSupported = 95, CrossDevice = 18, NotThisKind = 25, Invalid = 22;
    private const int NotAFolder = 20, TooManyLinksOnTheWay = 40;
    private const int NoFollowAt = 0x100, RemoveFolderAt = 0x200;
    private const int OpenRead = 0, OpenWriteNew = 2 | 0x40 | 0x80, OpenBoth = 2, OpenFolderFlag = 0x10000, OpenNoFollow = 0x20000, OpenCloseOnExec = 0x80000, OpenNonBlocking = 0x800;
    private const int SeekData = 3;
    private const nuint CloneFile = 0x40049409;
    private const int OmitTime = 0x3ffffffe;
    private const uint KindMask = 0xF000;

    public static SafeFileHandle OpenRoot(string path)
    {
        var root = OpenAt(-100, RawName.Of(Encoding.UTF8.GetBytes(path)), OpenFolderFlag | OpenCloseOnExec, 0);
        return root.IsInvalid ? throw Native.Failed("open", path) : root;
    }

    /// <summary>Null when there is no such folder: also when another kind of entry or a link is there.</summary>
    public static SafeFileHandle? OpenFolder(SafeFileHandle parent, byte[] name)
    {
        var folder = OpenAt(Number(parent), name, OpenFolderFlag | OpenNoFollow | OpenCloseOnExec, 0);
        if (!folder.IsInvalid) return folder;
        // Anything else (a damaged disk, no more handles) must not pass for an absent folder: a copy would lack what is in it.
        return Marshal.GetLastPInvokeError() is NoEntry or NotAFolder or TooManyLinksOnTheWay ? null : throw Failed("open the folder", name);
    }

    /// <summary>Null when it is gone.</summary>
    public static SafeFileHandle? OpenToRead(SafeFileHandle parent, byte[] name)
    {
        var file = OpenAt(Number(parent), name, OpenRead | OpenNoFollow | OpenNonBlocking | OpenCloseOnExec, 0);
        if (!file.IsInvalid) return file;
        return Marshal.GetLastPInvokeError() == NoEntry ? null : throw Failed("open", name);
    }

    public static SafeFileHandle OpenToWrite(SafeFileHandle parent, byte[] name, bool isNew)
    {
        var file = OpenAt(Number(parent), name, (isNew ? OpenWriteNew : OpenBoth) | OpenNoFollow | OpenNonBlocking | OpenCloseOnExec, 0x180 /* 0600 */);
        return file.IsInvalid ? throw Failed(isNew ? "make" : "open", name) : file;
    }

    /// <summary>Names in a folder in the order of their bytes, so that walks of two trees meet.</summary>
    public static List<byte[]> Names(SafeFileHandle folder)
    {
        const int size = 64 * 1024, lengthAt = 16, nameAt = 19;
        using var again = OpenFolder(folder, RawName.Here) ?? throw Failed("list", RawName.Here);
        var names = new List<byte[]>();
        var buffer = new byte[size];
        while (true)
        {
            nint got;
            fixed (byte* at = buffer) got = ReadFolder(again, at, size);
            if (got < 0) throw Failed("list", RawName.Here);
            if (got == 0) break;
            for (var at = 0; at < got; at += BinaryPrimitives.ReadUInt16LittleEndian(buffer.AsSpan(at + lengthAt)))
            {
                var rest = buffer.AsSpan(at + nameAt);
                var name = rest[..rest.IndexOf((byte)0)];
                if (!name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8)) names.Add(RawName.Of(name));
            }
        }
        names.Sort(static (a, b) => a.AsSpan().SequenceCompareTo(b));
        return names;
    }

    public static TreeEntry? Find(SafeFileHandle parent, byte[] name)
    {
        const int size = 256;
        const uint basic = 0x7ff;
        var s = stackalloc byte[size];
        if (Statx(Number(parent), name, NoFollowAt, basic, s) != 0) return Marshal.GetLastPInvokeError() == NoEntry ? null : throw Failed("stat", name);
        var mode = *(ushort*)(s + 28);
        if (KindOf(mode) is not { } kind) return null;
        return new(kind, (ushort)(mode & 0xFFF), *(uint*)(s + 20), *(uint*)(s + 24), ((ulong)*(uint*)(s + 136) << 32) | *(uint*)(s + 140), *(ulong*)(s + 32), *(uint*)(s + 16),
            *(long*)(s + 40), *(long*)(s + 48), new(*(long*)(s + 112), *(uint*)(s + 120)), new(*(long*)(s + 96), *(uint*)(s + 104)), *(uint*)(s + 128), *(uint*)(s + 132));
    }

    private static EntryKind? KindOf(ushort mode) => (mode & KindMask) switch
    {
        0x4000 => EntryKind.Folder,
        0x8000 => EntryKind.File,
        0xA000 => EntryKind.Link,
        0x1000 => EntryKind.Fifo,
        0xC000 => EntryKind.Socket,
        0x2000 => EntryKind.Character,
        0x6000 => EntryKind.Block,
        _ => null,
    };

    public static void MakeFolder(SafeFileHandle parent, byte[] name)
    {
        if (MkdirAt(Number(parent), name, 0x1C0 /* 0700 */) != 0) throw Failed("make folder", name);
    }

    public static void MakeNode(SafeFileHandle parent, byte[] name, EntryKind kind, uint major, uint minor)
    {
        var mode = kind switch { EntryKind.Fifo => 0x1000u, EntryKind.Socket => 0xC000u, EntryKind.Character => 0x2000u, _ => 0x6000u };
        var device = (((ulong)major & 0xfff) << 8) | (((ulong)major & ~0xffful) << 32) | ((ulong)minor & 0xff) | (((ulong)minor & ~0xfful) << 12);
        if (MknodAt(Number(parent), name, mode | 0x180, device) != 0) throw Failed("make node", name);
    }

    public static void MakeLink(SafeFileHandle parent, byte[] name, byte[] target)
    {
        if (SymlinkAt(target, Number(parent), name) != 0) throw Failed("make link", name);
    }

    public static byte[] ReadLink(SafeFileHandle parent, byte[] name)
    {
        const int size = 4096;
        var target = new byte[size];
        var length = ReadLinkAt(Number(parent), name, target, size);
        return length < 0 ? throw Failed("read link", name) : target[..(int)length];
    }

    /// <summary>Zero, or the error number.</summary>
    public static int HardLink(SafeFileHandle from, byte[] old, SafeFileHandle parent, byte[] name) =>
        LinkAt(Number(from), old, Number(parent), name, 0) == 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <summary>Removes an entry and all below it, however deep; none is no error. Callers say why that is safe.</summary>
    public static void Remove(SafeFileHandle parent, byte[] name)
    {
        if (RemovedUnlessFolder(parent, name)) return;
        using var walk = new FolderWalk(parent);
        var above = new Stack<(byte[] Name, Queue<byte[]> Inside)>();
        Descend(name);
        while (above.TryPeek(out var at))
        {
            if (at.Inside.TryDequeue(out var inside))
            {
                if (!RemovedUnlessFolder(walk.Here, inside)) Descend(inside);
                continue;
            }
            above.Pop();
            walk.Leave();
            Unlink(walk.Here, at.Name, RemoveFolderAt);
        }

        void Descend(byte[] folder)
        {
            if (walk.Enter(folder)) above.Push((folder, new(Names(walk.Here))));
        }
    }

    private static bool RemovedUnlessFolder(SafeFileHandle parent, byte[] name)
    {
        if (Find(parent, name) is not { } entry) return true;
        if (entry.Kind == EntryKind.Folder) return false;
        Unlink(parent, name, 0);
        return true;
    }

    private static void Unlink(SafeFileHandle parent, byte[] name, int flags)
    {
        if (UnlinkAt(Number(parent), name, flags) != 0 && Marshal.GetLastPInvokeError() != NoEntry) throw Failed("remove", name);
    }

    public static void Resize(SafeFileHandle file, long size)
    {
        if (Truncate(file, size) != 0) throw Failed("resize", RawName.Here);
    }

    /// <summary>First byte at or after this one that may be other than zero; the size when all the rest is a hole.</summary>
    public static long NextData(SafeFileHandle file, long at, long size)
    {
        if (at >= size) return size;
        var found = Seek(file, at, SeekData);
        // No such byte, or a filesystem that cannot tell: then all of it is read.
        return found >= 0 ? Math.Min(found, size) : Marshal.GetLastPInvokeError() == NoSuchByte ? size : at;
    }

    private const int NoSuchByte = 6;

    /// <summary>Makes one file share the other's blocks; false where the filesystem cannot.</summary>
    public static bool Clone(SafeFileHandle from, SafeFileHandle to) => IoctlNumber(to, CloneFile, from.DangerousGetHandle()) == 0;

    /// <summary>Owner first (it takes set-uid away), then permissions, attributes, and the time last of all.</summary>
    public static void SetMeta(SafeFileHandle parent, byte[] name, EntryKind kind, TreeMeta meta)
    {
        if (ChownAt(Number(parent), name, meta.User, meta.Group, NoFollowAt) != 0) throw Failed("set owner of", name);
        if (kind != EntryKind.Link && ChmodAt(Number(parent), name, meta.Mode, 0) != 0) throw Failed("set mode of", name);
        TreeAttributes.Set(parent, name, meta.Attributes);
        var times = stackalloc long[4] { 0, OmitTime, meta.Modified.Seconds, meta.Modified.Nanoseconds };
        if (TimesAt(Number(parent), name, times, NoFollowAt) != 0) throw Failed("set time of", name);
    }

    /// <summary>Everything written to this filesystem so far is on disk when it returns.</summary>
    public static void SyncFilesystem(string path)
    {
        using var folder = OpenRoot(path);
        if (SyncFs(folder) != 0) throw Native.Failed("sync of the filesystem at", path);
    }

    public static int Number(SafeFileHandle handle) => (int)handle.DangerousGetHandle();

    public static Win32Exception Failed(string what, byte[] name) => Native.Failed(what, RawName.Text(RawName.Bytes(name)));

    [LibraryImport("libc", EntryPoint = "openat", SetLastError = true)]
    private static partial SafeFileHandle OpenAt(int folder, byte[] name, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "getdents64", SetLastError = true)]
    private static partial nint ReadFolder(SafeFileHandle folder, byte* buffer, nuint size);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true)]
    private static partial int Statx(int folder, byte[] name, int flags, uint mask, byte* result);

    [LibraryImport("libc", EntryPoint = "mkdirat", SetLastError = true)]
    private static partial int MkdirAt(int folder, byte[] name, uint mode);

    [LibraryImport("libc", EntryPoint = "mknodat", SetLastError = true)]
    private static partial int MknodAt(int folder, byte[] name, uint mode, ulong device);

    [LibraryImport("libc", EntryPoint = "symlinkat", SetLastError = true)]
    private static partial int SymlinkAt(byte[] target, int folder, byte[] name);

    [LibraryImport("libc", EntryPoint = "readlinkat", SetLastError = true)]
    private static partial nint ReadLinkAt(int folder, byte[] name, [Out] byte[] target, nuint size);

    [LibraryImport("libc", EntryPoint = "linkat", SetLastError = true)]
    private static partial int LinkAt(int from, byte[] old, int folder, byte[] name, int flags);

    [LibraryImport("libc", EntryPoint = "unlinkat", SetLastError = true)]
    private static partial int UnlinkAt(int folder, byte[] name, int flags);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    private static partial int Truncate(SafeFileHandle file, long size);

    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    private static partial long Seek(SafeFileHandle file, long offset, int whence);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int IoctlNumber(SafeFileHandle file, nuint request, nint argument);

    [LibraryImport("libc", EntryPoint = "fchownat", SetLastError = true)]
    private static partial int ChownAt(int folder, byte[] name, uint user, uint group, int flags);

    [LibraryImport("libc", EntryPoint = "fchmodat", SetLastError = true)]
    private static partial int ChmodAt(int folder, byte[] name, uint mode, int flags);

    [LibraryImport("libc", EntryPoint = "utimensat", SetLastError = true)]
    private static partial int TimesAt(int folder, byte[] name, long* times, int flags);

    [LibraryImport("libc", EntryPoint = "syncfs", SetLastError = true)]
    private static partial int SyncFs(SafeFileHandle folder);
}
