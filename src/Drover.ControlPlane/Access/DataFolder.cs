using System.Text;

namespace Drover.ControlPlane.Access;

/// <summary>What the control plane keeps on disk: `drover.db`, `ca.pem`, `ca.key`, `ticket.key`, `audit.jsonl` and those before it. One process at a time.</summary>
public sealed class DataFolder : IDisposable
{
    private readonly FileStream? _lock;

    private DataFolder(string path, FileStream? held) => (Path, _lock) = (path, held);

    public string Path { get; }
    public string Database => System.IO.Path.Combine(Path, "drover.db");
    public string AuthorityCertificate => AuthorityCertificateOf(1);
    public string AuthorityKey => AuthorityKeyOf(1);
    public string Audit => System.IO.Path.Combine(Path, Core.Trust.AuditSegments.Current);
    public string TicketKey => System.IO.Path.Combine(Path, "ticket.key");

    /// <summary>Makes the folder (0700) when it is missing and holds it until disposed; the system lets go of it when the process dies. Fails when another process holds it.</summary>
    public static DataFolder Hold(string path)
    {
        var folder = Make(path);
        var file = System.IO.Path.Combine(folder.Path, "lock");
        try
        {
            return new(folder.Path, new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (IOException e)
        {
            throw new InvalidOperationException($"Another drover-control uses '{folder.Path}' ({e.Message}). Stop it, or give this one another --data.", e);
        }
    }

    /// <summary>The folder without holding it: to read in.</summary>
    public static DataFolder Share(string path) => Make(path);

    /// <summary>Each authority has files of its own, so that changing it overwrites nothing.</summary>
    public string AuthorityCertificateOf(int generation) => System.IO.Path.Combine(Path, generation == 1 ? "ca.pem" : $"ca-{generation}.pem");
    public string AuthorityKeyOf(int generation) => System.IO.Path.Combine(Path, generation == 1 ? "ca.key" : $"ca-{generation}.key");

    public void Dispose() => _lock?.Dispose();

    private static DataFolder Make(string path)
    {
        var full = System.IO.Path.GetFullPath(path);
        Directory.CreateDirectory(full, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return new(full, null);
    }

    /// <summary>Writes a whole file or none: beside it first, onto the disk, then in its place.</summary>
    public static void WriteWhole(string path, string text, UnixFileMode mode)
    {
        var beside = $"{path}.{Environment.ProcessId}.new";
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = mode };
        using (var stream = new FileStream(beside, options))
        {
            stream.Write(Encoding.UTF8.GetBytes(text));
            stream.Flush(flushToDisk: true);
        }
        File.Move(beside, path, overwrite: true);
    }

    public const UnixFileMode Secret = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    public const UnixFileMode Open = Secret | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
}
