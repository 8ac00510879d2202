using System.Security.Cryptography;

#pragma warning disable CA1416 // Linux only, like all that runs here

namespace Drover.Platform.Tests.Volumes;

internal static class TreeHash
{
    /// <summary>One line for every file and folder: path, mode, and the hash of its contents.</summary>
    public static string Of(string folder) => string.Join('\n', Directory.EnumerateFileSystemEntries(folder, "*", SearchOption.AllDirectories)
        .Order(StringComparer.Ordinal).Select(path => $"{Path.GetRelativePath(folder, path)} {File.GetUnixFileMode(path)} {Contents(path)}"));

    private static string Contents(string path)
    {
        if (Directory.Exists(path)) return "folder";
        using var file = File.OpenRead(path);
        return Convert.ToHexString(SHA256.HashData(file));
    }
}
