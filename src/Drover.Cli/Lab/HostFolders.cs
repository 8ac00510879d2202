namespace Drover.Cli.Lab;

/// <summary>
/// The folders of this machine that nodes cover. Which of them the lab itself has made is written down, so that the last lab to go
/// removes those and no other.
/// </summary>
public static class HostFolders
{
    private const string Record = LabLayout.Root + "/folders";

    /// <summary>Also makes the lab's own folder, so that from here on it counts as a lab that is there.</summary>
    public static void Make(LabLayout layout)
    {
        using var gate = Gate();
        Directory.CreateDirectory(layout.Folder);
        foreach (var folder in LabLayout.Covered.Where(f => !Directory.Exists(f)))
        {
            // Written before it is made: after a crash in between, an empty folder is removed or none is there.
            File.AppendAllText(Record, folder + "\n");
            Directory.CreateDirectory(folder);
        }
    }

    /// <summary>
    /// Only with the last lab: removing a folder unmounts what other nodes have mounted on it in their namespaces.
    /// </summary>
    public static void RemoveWithLastLab()
    {
        if (!Directory.Exists(LabLayout.Root)) return;
        using (Gate())
        {
            if (LabLayout.Existing().Count > 0) return;
            foreach (var folder in File.Exists(Record) ? File.ReadAllLines(Record) : [])
                // An empty one only: what someone has put there since is theirs.
                if (LabLayout.Covered.Contains(folder) && Directory.Exists(folder) && !Directory.EnumerateFileSystemEntries(folder).Any()) Directory.Delete(folder);
            File.Delete(Record);
            File.Delete(GateFile);
            Directory.Delete(LabLayout.Root);
        }
    }

    private const string GateFile = LabLayout.Root + "/gate";

    private static FileStream Gate()
    {
        Directory.CreateDirectory(LabLayout.Root);
        try { return new(GateFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None); }
        catch (IOException e) { throw new LabException("another `drover lab` command is changing this machine's folders: try again in a second", e); }
    }
}
