namespace Drover.Agent.Volumes.Zfs;

/// <summary>What all volumes have from the dataset above them.</summary>
internal static class ZfsSettings
{
    /// <summary>Set that way, and other values that mean the same or more.</summary>
    private static readonly (string Name, string Value, string[] AlsoGood)[] s_wanted =
    [
        // A volume's files are what its app put there, and nothing else.
        ("snapdir", "hidden", ["disabled"]),
        ("acltype", "posixacl", ["posix"]),
        ("xattr", "on", ["sa", "dir"]),
        // Whoever made the pool's dataset read-only did not mean what lies in it: volumes are sealed one by one.
        ("readonly", "off", []),
    ];

    /// <summary>Snapshots of others' tools keep removed data, and stand in the way of ours.</summary>
    private const string Automatic = "com.sun:auto-snapshot";

    /// <summary>What is to be set, where `zfs get -H -o property,value all` told this. What it did not tell of, this version does not know.</summary>
    public static IReadOnlyList<string> Missing(string told)
    {
        var values = told.Split('\n').Select(l => l.Split('\t')).Where(l => l.Length == 2).GroupBy(l => l[0]).ToDictionary(g => g.Key, g => g.Last()[1]);
        var missing = s_wanted.Where(w => values.TryGetValue(w.Name, out var value) && value != w.Value && !w.AlsoGood.Contains(value)).Select(w => $"{w.Name}={w.Value}");
        return [.. missing, .. values.GetValueOrDefault(Automatic) == "false" ? Array.Empty<string>() : [$"{Automatic}=false"]];
    }
}
