using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Drover.Agent.Volumes;

/// <summary>Linux calls that .NET has no name for. Numbers and layouts from linux/fs.h, linux/stat.h, linux/mount.h, linux/fcntl.h.</summary>
internal static partial class Native
{
    public const int ErrorPermission = 1, ErrorNoEntry = 2, ErrorBusy = 16, ErrorExists = 17, ErrorInvalid = 22, ErrorNotThisKind = 25, ErrorNotEmpty = 39;
    private const int OpenDirectory = 0x10000, OpenCloseOnExec = 0x80000;
    private const int FcntlSetPipeSize = 1031;
    private const ulong MountReadOnly = 1, MountNoSuid = 2, MountNoDevices = 4, MountRemount = 32, MountBind = 4096;

    /// <summary>Opens a directory for ioctl and fsync.</summary>
    public static SafeFileHandle OpenFolder(string path)
    {
        var handle = Open(path, OpenDirectory | OpenCloseOnExec, 0);
        return handle.IsInvalid ? throw Failed("open", path) : handle;
    }

    /// <summary>Renames, creations and removals in this directory are on disk when it returns.</summary>
    public static void SyncFolder(string path)
    {
        using var folder = OpenFolder(path);
        if (Fsync(folder) != 0) throw Failed("fsync", path);
    }

    /// <summary>A file's contents and properties, or a folder's names, are on disk when it returns.</summary>
    public static void SyncFile(SafeFileHandle file)
    {
        if (Fsync(file) != 0) throw Failed("fsync", "of what was received");
    }

    /// <summary>A folder that only root may enter; one that is there stays as it is.</summary>
    public static void MakePrivateFolder(string path)
    {
        if (Mkdir(path, 0x1C0 /* 0700 */) != 0 && Marshal.GetLastPInvokeError() != ErrorExists) throw Failed("mkdir", path);
    }

    public static void MakePrivate(string folder)
    {
        if (Chmod(folder, 0x1C0 /* 0700 */) != 0) throw Failed("chmod", folder);
    }

    [LibraryImport("libc", EntryPoint = "chmod", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Chmod(string path, uint mode);

    public static void BindMount(string source, string target)
    {
        if (Mount(source, target, null, MountBind, 0) != 0) throw Failed("bind-mount of " + source + " on", target);
        // A bind mount takes its flags only by a second call. Volumes carry data, never device nodes or setuid programs for the host.
        if (Mount(null, target, null, MountBind | MountRemount | MountNoSuid | MountNoDevices, 0) != 0) throw Failed("remount nosuid,nodev of", target);
    }

    /// <summary>Zero, or the error number: busy while a file is open for writing through this mount.</summary>
    public static int SetMountReadOnly(string target, bool isReadOnly) =>
        Mount(null, target, null, MountBind | MountRemount | MountNoSuid | MountNoDevices | (isReadOnly ? MountReadOnly : 0), 0) == 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <summary>All that is mounted of this filesystem, in every namespace. Zero, or the error number: busy while anybody has a file open for writing.</summary>
    public static int SetFilesystemReadOnly(string target, bool isReadOnly) =>
        Mount(null, target, null, MountRemount | (isReadOnly ? MountReadOnly : 0), 0) == 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <summary>Zero, or the error number.</summary>
    public static int Unmount(string target) => Unmount2(target, 0) == 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <summary>The folder's path without links; null when there is none.</summary>
    public static string? RealPath(string path)
    {
        using var folder = Open(path, OpenDirectory | OpenCloseOnExec, 0);
        return folder.IsInvalid ? null : new FileInfo($"/proc/self/fd/{(int)folder.DangerousGetHandle()}").LinkTarget;
    }

    /// <summary>Number of the device a path lies on; every btrfs subvolume has its own. Null when there is no such path (any more) or it may not be seen.</summary>
    public static ulong? DeviceOf(string path) => PlaceOf(path)?.Device;

    /// <summary>Device and inode: the same for two paths that show the same folder.</summary>
    public static unsafe (ulong Device, ulong Inode)? PlaceOf(string path)
    {
        const int size = 256, inodeAt = 32, majorAt = 136, minorAt = 140, currentFolder = -100;
        const uint inode = 0x100;
        var buffer = stackalloc byte[size];
        return Statx(currentFolder, path, 0, inode, buffer) == 0 ? (((ulong)*(uint*)(buffer + majorAt) << 32) | *(uint*)(buffer + minorAt), *(ulong*)(buffer + inodeAt)) : null;
    }

    /// <summary>Device and inode: no other file of this start of the machine has them.</summary>
    public static unsafe string FileNumber(string path)
    {
        const int size = 256, inodeAt = 32, majorAt = 136, minorAt = 140, currentFolder = -100;
        const uint withInode = 0x100;
        var buffer = stackalloc byte[size];
        if (Statx(currentFolder, path, 0, withInode, buffer) != 0) throw Failed("stat", path);
        return $"{*(uint*)(buffer + majorAt)}:{*(uint*)(buffer + minorAt)}:{*(ulong*)(buffer + inodeAt)}";
    }

    /// <summary>Widens a pipe so that bursts of one side do not stall the other. Failing (a limit of the user) costs only speed.</summary>
    public static void WidenPipe(SafeHandle pipe, int bytes) => Fcntl(pipe, FcntlSetPipeSize, bytes);

    public static Win32Exception Failed(string what, string path, int? error = null)
    {
        var code = error ?? Marshal.GetLastPInvokeError();
        return new Win32Exception(code, $"{what} {path}: {Marshal.GetPInvokeErrorMessage(code)}");
    }

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static unsafe partial int Ioctl(SafeFileHandle file, nuint request, void* argument);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "mkdir", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Mkdir(string path, uint mode);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "mount", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Mount(string? source, string target, string? kind, ulong flags, nint data);

    [LibraryImport("libc", EntryPoint = "umount2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Unmount2(string target, int flags);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int Statx(int folder, string path, int flags, uint mask, byte* result);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Fcntl(SafeHandle file, int command, int argument);
}
