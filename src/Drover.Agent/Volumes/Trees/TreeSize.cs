using Microsoft.Win32.SafeHandles;

namespace Drover.Agent.Volumes.Trees;

internal static class TreeSize
{
    private const int BytesOfBlock = 512;

    /// <summary>Bytes that a tree takes on its disk, holes not counted, a file with several names once. Walks it.</summary>
    public static long Of(string root)
    {
        using var folder = TreeCalls.OpenRoot(root);
        return Of(folder, []) + (TreeCalls.Find(folder, RawName.Here)?.Blocks ?? 0) * BytesOfBlock;
    }

    private static long Of(SafeFileHandle folder, HashSet<(ulong, ulong)> counted)
    {
        long sum = 0;
        foreach (var name in TreeCalls.Names(folder))
        {
            if (TreeCalls.Find(folder, name) is not { } entry || (entry.Links > 1 && entry.Kind != EntryKind.Folder && !counted.Add(entry.Key()))) continue;
            sum += entry.Blocks * BytesOfBlock;
            if (entry.Kind != EntryKind.Folder) continue;
            using var inside = TreeCalls.OpenFolder(folder, name);
            if (inside is not null) sum += Of(inside, counted);
        }
        return sum;
    }
}
