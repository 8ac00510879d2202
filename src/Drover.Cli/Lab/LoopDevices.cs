namespace Drover.Cli.Lab;

public static class LoopDevices
{
    /// <summary>Devices (`/dev/loop0`) whose file is, or was before it was deleted, below the folder.</summary>
    public static async Task<IReadOnlyList<string>> Below(HostPrograms programs, string folder, CancellationToken cancel)
    {
        var listed = await programs.Require("losetup", ["--list", "--noheadings", "--output", "NAME,BACK-FILE"], cancel);
        return [.. listed.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(l => l.Split(' ', 2, StringSplitOptions.TrimEntries))
            .Where(l => l.Length == 2 && l[1].StartsWith(folder + "/", StringComparison.Ordinal)).Select(l => l[0])];
    }
}
