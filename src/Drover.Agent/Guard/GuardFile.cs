using System.Globalization;
using System.Text;
using Drover.Agent.Host;
using Drover.Core;

namespace Drover.Agent.Guard;

/// <summary>What the guard is to stop when the lease ends: the only thing agent and guard share.</summary>
/// <param name="Start">Start of the machine the moments belong to, and the folder: <see cref="GuardFile.StartOf"/>.</param>
/// <param name="EndsAt">On the clock that counts while suspended.</param>
/// <param name="Length">Of the lease; zero: there never was one.</param>
/// <param name="Volumes">Live data that may be writable, sorted.</param>
/// <param name="Containers">Engine's ids of containers that may write it, sorted.</param>
public sealed record GuardState(string Start, TimeSpan EndsAt, TimeSpan Length, EquatableList<GuardedVolume> Volumes, EquatableList<string> Containers);

/// <param name="Epoch">Of its live data.</param>
/// <param name="SealPath">Subvolume that is made read-only; empty: the volume's driver has no such seal, and only its containers are ended.</param>
public sealed record GuardedVolume(VolumeName Name, Epoch Epoch, string SealPath);

/// <summary>The guard's file: a few lines of text, swapped whole by rename. Not synced to disk: after a crash of the machine no lease of before counts.</summary>
public sealed class GuardFile(string folder)
{
    private const string Heading = "drover guard 1";

    public string Folder => folder;

    /// <summary>Names this start of the machine and this folder: what a copy of it says is of other containers.</summary>
    public string StartOf(IBootClock clock)
    {
        Directory.CreateDirectory(folder);
        return $"{clock.BootId}/{Volumes.Native.FileNumber(folder)}";
    }

    private string PathOf => Path.Combine(folder, "state");

    /// <summary>Null: there is none, or it is none of this version's.</summary>
    public GuardState? Read()
    {
        string[] lines;
        try { lines = File.ReadAllLines(PathOf); }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException) { return null; }
        return lines is [Heading, ..] ? Parse(lines.AsSpan(1)) : null;
    }

    public void Write(GuardState state)
    {
        Directory.CreateDirectory(folder);
        var fresh = PathOf + ".new";
        File.WriteAllText(fresh, Format(state));
        // Safe to overwrite: the new contents are whole, and rename swaps them in one step.
        File.Move(fresh, PathOf, overwrite: true);
    }

    /// <summary>Held by the agent while it writes and by the guard while it stops writers, so that a new lease and the end of the old one do not cross.
    /// Null: another holds it.</summary>
    public IDisposable? TryLock()
    {
        Directory.CreateDirectory(folder);
        try { return new FileStream(Path.Combine(folder, "turn"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None); }
        catch (IOException) { return null; }
    }

    internal static string Format(GuardState state)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{Heading}\nstart {state.Start}\nends {state.EndsAt.Ticks}\nlength {state.Length.Ticks}\n");
        foreach (var volume in state.Volumes) text.Append(CultureInfo.InvariantCulture, $"volume {volume.Name} {volume.Epoch.Value} {volume.SealPath}\n");
        foreach (var container in state.Containers) text.Append(CultureInfo.InvariantCulture, $"container {container}\n");
        return text.Append("end\n").ToString();
    }

    private static GuardState? Parse(ReadOnlySpan<string> lines)
    {
        var (start, ends, length, whole) = ("", 0L, 0L, false);
        var volumes = new List<GuardedVolume>();
        var containers = new List<string>();
        foreach (var line in lines)
        {
            var words = line.Split(' ', 4);
            switch (words)
            {
                case ["start", var id]: start = id; break;
                case ["ends", var ticks]: ends = long.Parse(ticks, CultureInfo.InvariantCulture); break;
                case ["length", var ticks]: length = long.Parse(ticks, CultureInfo.InvariantCulture); break;
                case ["volume", var name, var epoch, var path]: volumes.Add(new(new(name), new(long.Parse(epoch, CultureInfo.InvariantCulture)), path)); break;
                case ["container", var id]: containers.Add(id); break;
                case ["end"]: whole = true; break;
            }
        }
        return whole ? new(start, new(ends), new(length), volumes.ToEquatableList(), containers.ToEquatableList()) : null;
    }
}
