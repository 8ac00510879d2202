using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Drover.Agent.Volumes.Btrfs;

/// <summary>
/// What the kernel says of a subvolume (BTRFS_IOC_GET_SUBVOL_INFO). <paramref name="ReceivedUuid"/> is empty unless it came by a stream.
/// </summary>
/// <param name="Created">Transaction that made it: grows with time on one pool.</param>
internal readonly record struct SubvolumeInfo(ulong TreeId, ulong Generation, ulong Created, bool IsReadOnly, Guid Uuid, Guid ParentUuid, Guid ReceivedUuid)
{
    /// <summary>Same on every node that holds these contents: the uuid of the first of them.</summary>
    public Guid Original => ReceivedUuid == Guid.Empty ? Uuid : ReceivedUuid;

    public string Identity => Original.ToString();
}

/// <summary>
/// The few btrfs calls of the cutover, straight to the kernel: starting `btrfs` for each would cost milliseconds while the app stands still.
/// Numbers and layouts from linux/btrfs.h.
/// </summary>
internal static unsafe class Subvolume
{
    private const nuint Sync = 0x9408, SnapshotCreate = 0x50009417, Create = 0x50009418, Destroy = 0x5000940f;
    private const nuint GetFlags = 0x80089419, SetFlags = 0x4008941a, GetInfo = 0x81f8943c, GetChildren = 0xd000943d, TreeSearch = 0xc0709411, SetReceived = 0xc0c89425, QgroupLimit = 0x8030942b;
    private const ulong ReadOnlyFlag = 2, LimitsReferred = 1;
    private const int ArgumentSize = 4096;

    /// <summary>Null when the path does not exist or is not a subvolume.</summary>
    public static SubvolumeInfo? Find(string path)
    {
        if (!Directory.Exists(path)) return null;
        using var folder = Native.OpenFolder(path);
        var info = stackalloc byte[504];
        // Answers a positive number, with all fields filled, when the backward reference is not the first item that its search meets.
        if (Native.Ioctl(folder, GetInfo, info) < 0)
        {
            var error = Marshal.GetLastPInvokeError();
            return error is Native.ErrorInvalid or Native.ErrorNoEntry or Native.ErrorNotThisKind ? null : throw Native.Failed("subvolume info of", path, error);
        }
        // The call answers for any directory inside a subvolume; only the subvolume's own root has inode 256, which is what a
        // flags call insists on.
        ulong flags = 0;
        if (Native.Ioctl(folder, GetFlags, &flags) != 0) return null;
        return new(ReadU64(info, 0), ReadU64(info, 280), ReadU64(info, 352), (flags & ReadOnlyFlag) != 0, ReadUuid(info, 296), ReadUuid(info, 312), ReadUuid(info, 328));
    }

    public static void Make(string parent, string name)
    {
        using var folder = Native.OpenFolder(parent);
        var argument = stackalloc byte[ArgumentSize];
        Named(argument, name);
        if (Native.Ioctl(folder, Create, argument) != 0) throw Native.Failed("create subvolume", $"{parent}/{name}");
    }

    /// <summary>Commits the filesystem's transaction: the snapshot and everything before it is on disk when it returns.</summary>
    public static void Snapshot(string source, string parent, string name, bool isReadOnly)
    {
        using var from = Native.OpenFolder(source);
        using var folder = Native.OpenFolder(parent);
        var argument = stackalloc byte[ArgumentSize];
        Named(argument, name);
        *(long*)argument = from.DangerousGetHandle().ToInt64();
        *(ulong*)(argument + 16) = isReadOnly ? ReadOnlyFlag : 0;
        if (Native.Ioctl(folder, SnapshotCreate, argument) != 0) throw Native.Failed($"snapshot of {source} as", $"{parent}/{name}");
    }

    /// <summary>Zero, or the error number. The space comes back later, in the background.</summary>
    public static int Delete(string parent, string name)
    {
        using var folder = Native.OpenFolder(parent);
        var argument = stackalloc byte[ArgumentSize];
        // The older call has the name at offset 8; it knows no flags.
        new Span<byte>(argument, ArgumentSize).Clear();
        Encoding.UTF8.GetBytes(name, new Span<byte>(argument + 8, ArgumentSize - 9));
        return Native.Ioctl(folder, Destroy, argument) == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    /// <summary>Says what this subvolume is a copy of. It must be writable still, and never be again afterwards.</summary>
    public static void SetReceivedUuid(string path, Guid original)
    {
        using var folder = Native.OpenFolder(path);
        var argument = stackalloc byte[200];
        new Span<byte>(argument, 200).Clear();
        original.TryWriteBytes(new Span<byte>(argument, 16), bigEndian: true, out _);
        if (Native.Ioctl(folder, SetReceived, argument) != 0) throw Native.Failed("set received uuid of", path);
    }

    /// <summary>Limits what the subvolume of this id refers to; null: no limit. Zero, or the error number. By the pool's top level: a full subvolume takes no change of its own limit, which is a write to it.</summary>
    public static int Limit(string pool, ulong treeId, long? bytes)
    {
        using var folder = Native.OpenFolder(pool);
        var argument = stackalloc ulong[6];
        (argument[0], argument[1], argument[2]) = (treeId, LimitsReferred, bytes is { } most ? (ulong)most : ulong.MaxValue);
        (argument[3], argument[4], argument[5]) = (0, 0, 0);
        return Native.Ioctl(folder, QgroupLimit, argument) == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    public static void SetReadOnly(string path, bool isReadOnly)
    {
        using var folder = Native.OpenFolder(path);
        ulong flags = 0;
        if (Native.Ioctl(folder, GetFlags, &flags) != 0) throw Native.Failed("read flags of", path);
        var wanted = isReadOnly ? flags | ReadOnlyFlag : flags & ~ReadOnlyFlag;
        if (wanted == flags) return;
        if (Native.Ioctl(folder, SetFlags, &wanted) != 0) throw Native.Failed(isReadOnly ? "make read-only" : "make writable", path);
    }

    /// <summary>Everything written to the filesystem so far is on disk when it returns.</summary>
    public static void SyncFilesystem(string path)
    {
        using var folder = Native.OpenFolder(path);
        if (Native.Ioctl(folder, Sync, null) != 0) throw Native.Failed("sync of the filesystem at", path);
    }

    /// <summary>Whether subvolumes lie inside this one. A snapshot would show each as an empty folder.</summary>
    public static bool HasNested(string path)
    {
        using var folder = Native.OpenFolder(path);
        var argument = stackalloc byte[ArgumentSize];
        new Span<byte>(argument, ArgumentSize).Clear();
        if (Native.Ioctl(folder, GetChildren, argument) != 0) throw Native.Failed("list of nested subvolumes of", path);
        return argument[8 + 255 * 16] > 0;
    }

    /// <summary>
    /// Bytes that the files of this subvolume refer to, holes not counted, shared extents counted as often as they are used: what a
    /// full send carries, about. As of the last commit. Walks the subvolume's tree: tens of milliseconds for 100,000 extents.
    /// </summary>
    /// <param name="after">Only what was written in later transactions than this one; what is older is not even read.</param>
    public static long ReferencedBytes(string path, ulong after = 0)
    {
        const int bufferSize = 256 * 1024, keySize = 104, extentData = 108;
        using var folder = Native.OpenFolder(path);
        var memory = GC.AllocateUninitializedArray<byte>(keySize + 8 + bufferSize, pinned: true);
        fixed (byte* argument = memory)
        {
            new Span<byte>(argument, keySize).Clear();
            *(ulong*)(argument + 8) = 256;                      // first inode number of a subvolume
            *(ulong*)(argument + 16) = ulong.MaxValue - 256;
            *(ulong*)(argument + 32) = ulong.MaxValue;          // offsets
            *(ulong*)(argument + 40) = after == 0 ? 0 : after + 1;
            *(ulong*)(argument + 48) = ulong.MaxValue;          // transactions
            *(uint*)(argument + 60) = uint.MaxValue;            // types: the bounds below are of the whole key, not of its parts
            *(uint*)(argument + 56) = 0;
            long total = 0;
            while (true)
            {
                *(uint*)(argument + 64) = uint.MaxValue;
                *(ulong*)(argument + keySize) = bufferSize;
                if (Native.Ioctl(folder, TreeSearch, argument) != 0) throw Native.Failed("tree search of", path);
                var count = *(uint*)(argument + 64);
                if (count == 0) return total;
                var at = argument + keySize + 8;
                ulong inode = 0, offset = 0;
                uint type = 0;
                for (var i = 0; i < count; i++)
                {
                    inode = ReadU64(at, 8);
                    offset = ReadU64(at, 16);
                    type = *(uint*)(at + 24);
                    var length = *(uint*)(at + 28);
                    var item = at + 32;
                    // A leaf that was written anew holds older extents too.
                    if (type == extentData && ReadU64(item, 0) > after) total += ExtentBytes(item);
                    at = item + length;
                }
                if (!NextKey(argument, inode, type, offset)) return total;
            }
        }
    }

    private static long ExtentBytes(byte* item)
    {
        const byte inline = 0;
        if (item[20] == inline) return (long)ReadU64(item, 8);
        return ReadU64(item, 21) == 0 ? 0 : (long)ReadU64(item, 45);
    }

    private static bool NextKey(byte* key, ulong inode, uint type, ulong offset)
    {
        if (offset != ulong.MaxValue) offset++;
        else if (type < byte.MaxValue) (type, offset) = (type + 1, 0);
        else if (inode != ulong.MaxValue) (inode, type, offset) = (inode + 1, 0, 0);
        else return false;
        *(ulong*)(key + 8) = inode;
        *(ulong*)(key + 24) = offset;
        *(uint*)(key + 56) = type;
        return true;
    }

    private static void Named(byte* argument, string name)
    {
        new Span<byte>(argument, ArgumentSize).Clear();
        Encoding.UTF8.GetBytes(name, new Span<byte>(argument + 56, ArgumentSize - 57));
    }

    private static ulong ReadU64(byte* from, int at) => BinaryPrimitives.ReadUInt64LittleEndian(new ReadOnlySpan<byte>(from + at, 8));

    private static Guid ReadUuid(byte* from, int at) => new(new ReadOnlySpan<byte>(from + at, 16), bigEndian: true);
}
