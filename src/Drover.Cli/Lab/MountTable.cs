using System.Text;

namespace Drover.Cli.Lab;

/// <param name="Root">Path inside the filesystem; for a namespace its name, `net:[4026532300]`.</param>
public sealed record MountEntry(string Root, string Path, string FileSystem, string Source, string Options);

/// <summary>The mounts that this process sees.</summary>
public static class MountTable
{
    public static IReadOnlyList<MountEntry> Read() => [.. File.ReadLines("/proc/self/mountinfo").Select(Parse)];

    /// <summary>In order of mounting, `folder` itself included.</summary>
    public static IReadOnlyList<MountEntry> Below(string folder) =>
        [.. Read().Where(m => m.Path == folder || m.Path.StartsWith(folder + "/", StringComparison.Ordinal))];

    public static bool IsMounted(string path) => Read().Any(m => m.Path == path);

    public static MountEntry Parse(string line)
    {
        var fields = line.Split(' ');
        var end = Array.IndexOf(fields, "-");
        return new(Plain(fields[3]), Plain(fields[4]), fields[end + 1], Plain(fields[end + 2]), fields[end + 3]);
    }

    /// <summary>The kernel writes space, tab, newline and backslash as three octal digits.</summary>
    private static string Plain(string text)
    {
        if (!text.Contains('\\', StringComparison.Ordinal)) return text;
        var plain = new StringBuilder();
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '\\') { plain.Append(text[i]); continue; }
            plain.Append((char)Convert.ToInt32(text.Substring(i + 1, 3), 8));
            i += 3;
        }
        return plain.ToString();
    }
}
