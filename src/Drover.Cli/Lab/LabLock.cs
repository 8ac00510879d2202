namespace Drover.Cli.Lab;

/// <summary>One command at a time changes a lab. The lock goes with the process that holds it.</summary>
public static class LabLock
{
    public static IDisposable Take(LabLayout layout)
    {
        try { return new FileStream(layout.LockFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None); }
        catch (DirectoryNotFoundException e) { throw new LabException($"there is no lab '{layout.Name}' on this machine", e); }
        catch (IOException e) { throw new LabException($"another `drover lab` command is at work on lab '{layout.Name}': wait for it to end", e); }
    }
}
