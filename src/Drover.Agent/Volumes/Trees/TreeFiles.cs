using System.IO.Hashing;
using Microsoft.Win32.SafeHandles;

namespace Drover.Agent.Volumes.Trees;

/// <summary>Contents of single files: copied with their holes, and hashed.</summary>
internal static class TreeFiles
{
    /// <summary>Shares the blocks where the filesystem can, else copies them. The target is new and empty.</summary>
    public static void Copy(SafeFileHandle from, SafeFileHandle to, long size)
    {
        if (TreeCalls.Clone(from, to)) return;
        TreeCalls.Resize(to, size);
        var buffer = new byte[TreeFormat.BlockSize];
        for (var at = TreeCalls.NextData(from, 0, size); at < size; at = TreeCalls.NextData(from, at, size))
        {
            var read = RandomAccess.Read(from, buffer.AsSpan(0, (int)Math.Min(buffer.Length, size - at)), at);
            if (read == 0) return;
            RandomAccess.Write(to, buffer.AsSpan(0, read), at);
            at += read;
        }
    }

    /// <summary>As <see cref="ContentHash"/> says, read from the file itself.</summary>
    public static void Hash(SafeFileHandle file, long size, Span<byte> value)
    {
        var hash = new ContentHash();
        var block = new byte[TreeFormat.BlockSize];
        for (var at = TreeCalls.NextData(file, 0, size); at < size; at = TreeCalls.NextData(file, at, size))
        {
            at = at / TreeFormat.BlockSize * TreeFormat.BlockSize;
            var length = (int)Math.Min(TreeFormat.BlockSize, size - at);
            var got = 0;
            while (got < length && RandomAccess.Read(file, block.AsSpan(got, length - got), at + got) is > 0 and var read) got += read;
            block.AsSpan(got, length - got).Clear();
            if (!TreeFormat.IsZero(block.AsSpan(0, length))) hash.Add(at, block.AsSpan(0, length));
            at += TreeFormat.BlockSize;
        }
        hash.Value(value);
    }
}
