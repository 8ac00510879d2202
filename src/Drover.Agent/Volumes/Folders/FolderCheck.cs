using System.ComponentModel;
using Drover.Agent.Volumes.Trees;

namespace Drover.Agent.Volumes.Folders;

/// <summary>Tries out what the driver needs of a filesystem, before any data is in it.</summary>
internal static class FolderCheck
{
    private static readonly byte[] First = RawName.Of("first"u8), Second = RawName.Of("second"u8);

    /// <exception cref="InvalidOperationException">The pool is not there or cannot do what is needed; the message says what to do.</exception>
    public static void Require(string pool)
    {
        if (!Directory.Exists(pool)) throw new InvalidOperationException($"{pool} does not exist: make the folder, on a disk with room for this node's volumes, and keep it for Drover alone");
        var trial = Path.Combine(pool, "trial");
        try
        {
            using var parent = TreeCalls.OpenRoot(pool);
            // Safe: the driver alone uses this name, for this check.
            TreeCalls.Remove(parent, RawName.Of("trial"u8));
            Native.MakePrivateFolder(trial);
            Try(trial);
            TreeCalls.Remove(parent, RawName.Of("trial"u8));
        }
        catch (Exception e) when (e is Win32Exception or IOException)
        {
            throw new InvalidOperationException($"{pool} cannot hold volumes: its filesystem must be writable and know owners, hard links and extended attributes, as ext4, xfs and btrfs do ({e.Message})", e);
        }
    }

    private static void Try(string trial)
    {
        const int someUser = 12345;
        using var folder = TreeCalls.OpenRoot(trial);
        using (TreeCalls.OpenToWrite(folder, First, isNew: true)) { }
        var meta = new TreeMeta(0x180, someUser, someUser, new(1_000_000_000, 0), [new("user.drover"u8.ToArray(), [1]), new("trusted.drover"u8.ToArray(), [1])]);
        TreeCalls.SetMeta(folder, First, EntryKind.File, meta);
        if (TreeCalls.Find(folder, First) is not { User: someUser, Mode: 0x180 }) throw new IOException("owners are not kept");
        var error = TreeCalls.HardLink(folder, First, folder, Second);
        if (error != 0) throw Native.Failed("make a hard link in", trial, error);
        TreeCalls.MakeLink(folder, RawName.Of("link"u8), RawName.Of("nowhere"u8));
    }
}
