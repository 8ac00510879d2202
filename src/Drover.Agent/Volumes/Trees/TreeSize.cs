using Microsoft.Win32.SafeHandles;

namespace Drover.Agent.Volumes.Trees;

internal static class TreeSize
{
    private const int BytesOfBlock = 512;

    /// <summary>Bytes that a tree takes on its disk, holes not counted, a file with several names once. Walks it.</summary>
    public static long Of(string root)
    {
        using var folder = TreeCalls.OpenRoot(root);
        return Of(folder, [], 0) + (TreeCalls.Find(folder, RawName.Here)?.Blocks ?? 0) * BytesOfBlock;
    }

    private static long Of(SafeFileHandle folder, HashSet<(ulong, ulong)> counted, int depth)
    {
        // Deeper ones are refused when they are to be sent; an app that makes them must not end the agent.
        if (depth > TreeFormat.Deepest) return 0;
        long sum = 0;
        foreach (var name in TreeCalls.Names(folder))
        {
            if (TreeCalls.Find(folder, name) is not { } entry || (entry.Links > 1 && entry.Kind != EntryKind.Folder && !counted.Add(entry.Key()))) continue;
            sum += entry.Blocks * BytesOfBlock;
            if (entry.Kind != EntryKind.Folder) continue;
            using var inside = TreeCalls.OpenFolder(folder, name);
            if (inside is not null) sum += Of(inside, counted, depth + 1);
        }
        return sum;
    }
}
