using System.Runtime.InteropServices;
using Drover.Agent.Containers;

namespace Drover.Agent.Reconcile;

/// <summary>Gives a fresh volume to whom the image says, so that the image's user can write.</summary>
public interface IVolumeOwner
{
    /// <summary>False: it holds data, nobody needs to be asked whose it should be.</summary>
    bool IsEmpty(string mountPath);

    /// <summary>Sets owner and mode of the mounted folder while it is still empty; what holds data is left as it is. Repeatable.</summary>
    void GiveIfEmpty(string mountPath, MountOwner owner);
}

public sealed partial class VolumeOwner : IVolumeOwner
{
    public bool IsEmpty(string mountPath) => !Directory.EnumerateFileSystemEntries(mountPath).Any();

    public void GiveIfEmpty(string mountPath, MountOwner owner)
    {
        if (!IsEmpty(mountPath)) return;
        if (ChangeOwner(mountPath, (uint)owner.Uid, (uint)owner.Gid) != 0)
            throw new IOException($"cannot give {mountPath} to {owner.Uid}:{owner.Gid}: {Marshal.GetLastPInvokeErrorMessage()}. The agent must run as root");
        if (ChangeMode(mountPath, (uint)(owner.Mode & 0xFFF)) != 0) throw new IOException($"cannot set the mode of {mountPath}: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    [LibraryImport("libc", EntryPoint = "chmod", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ChangeMode(string path, uint mode);

    [LibraryImport("libc", EntryPoint = "lchown", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ChangeOwner(string path, uint uid, uint gid);
}
