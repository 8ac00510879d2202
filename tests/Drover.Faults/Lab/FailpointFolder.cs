namespace Drover.Faults.Lab;

/// <summary>Arms failpoints of the lab's processes, by files: see <see cref="Contracts.Hosting.Failpoints"/>.</summary>
public sealed class FailpointFolder(string folder)
{
    public string Path { get; } = folder;

    public void Clear()
    {
        Directory.CreateDirectory(Path);
        foreach (var file in Directory.EnumerateFiles(Path)) File.Delete(file);
    }

    /// <param name="what">`pause`, `crash`, `fail WORDS`, or anything for a deviation.</param>
    public void Arm(string who, string point, string what)
    {
        // By rename, so that nobody reads half a word.
        var file = FileOf(who, point);
        File.WriteAllText(file + ".new", what);
        File.Move(file + ".new", file, overwrite: true);
    }

    public bool Reached(string who, string point) => File.Exists(FileOf(who, point) + ".reached");

    /// <summary>When that was, the first time; null: it was not.</summary>
    public DateTimeOffset? FirstReached(string who, string point)
    {
        var file = new FileInfo(FileOf(who, point) + ".reached");
        return file.Exists ? new DateTimeOffset(file.CreationTimeUtc, TimeSpan.Zero) : null;
    }

    /// <summary>Lets go of who is held there, and disarms it.</summary>
    public void Release(string who, string point)
    {
        File.Delete(FileOf(who, point));
        File.Delete(FileOf(who, point) + ".reached");
    }

    private string FileOf(string who, string point) => System.IO.Path.Combine(Path, $"{who}.{point}");
}
