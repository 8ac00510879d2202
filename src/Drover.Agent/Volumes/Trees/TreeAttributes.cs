using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Drover.Agent.Volumes.Trees;

/// <summary>Extended attributes of an entry of an open folder, its access lists among them.</summary>
internal static partial class TreeAttributes
{
    public const int Most = 64, LongestValue = 64 * 1024, LargestSum = 256 * 1024;
    private static readonly byte[][] Carried = ["user."u8.ToArray(), "trusted."u8.ToArray(), "security."u8.ToArray(), "system.posix_acl_"u8.ToArray()];

    /// <summary>What filesystems keep for themselves (`btrfs.compression`) stays where it is.</summary>
    public static bool IsCarried(ReadOnlySpan<byte> name)
    {
        foreach (var prefix in Carried) if (name.StartsWith(prefix)) return true;
        return false;
    }

    /// <summary>In the order of their names.</summary>
    public static IReadOnlyList<Attribute> Of(SafeFileHandle parent, byte[] name)
    {
        var path = PathOf(parent, name);
        var names = List(path);
        if (names.Length == 0) return [];
        var found = new List<Attribute>();
        foreach (var one in Split(names))
            if (IsCarried(one) && Get(path, one) is { } value) found.Add(new(one, value));
        found.Sort(static (a, b) => a.Name.AsSpan().SequenceCompareTo(b.Name));
        return found;
    }

    /// <summary>Just these: others go.</summary>
    public static void Set(SafeFileHandle parent, byte[] name, IReadOnlyList<Attribute> wanted)
    {
        var present = Of(parent, name);
        if (present.Count == 0 && wanted.Count == 0) return;
        var path = PathOf(parent, name);
        foreach (var other in present)
            if (!wanted.Any(w => w.Name.AsSpan().SequenceEqual(other.Name)) && RemoveOne(path, RawName.Of(other.Name)) != 0) throw TreeCalls.Failed($"remove attribute {Encoding.UTF8.GetString(other.Name)} of", name);
        foreach (var one in wanted)
        {
            if (present.Any(p => p.SameAs(one))) continue;
            if (SetOne(path, RawName.Of(one.Name), one.Value, (nuint)one.Value.Length, 0) != 0) throw TreeCalls.Failed($"set attribute {Encoding.UTF8.GetString(one.Name)} of", name);
        }
    }

    private static byte[] List(byte[] path)
    {
        var size = ListAll(path, null, 0);
        if (size <= 0) return size == 0 || Marshal.GetLastPInvokeError() is TreeCalls.NotSupported or TreeCalls.NoEntry ? [] : throw TreeCalls.Failed("list attributes of", path);
        var names = new byte[size];
        var got = ListAll(path, names, (nuint)size);
        return got < 0 ? throw TreeCalls.Failed("list attributes of", path) : names[..(int)got];
    }

    private static List<byte[]> Split(byte[] names)
    {
        var all = new List<byte[]>();
        for (var at = 0; at < names.Length;)
        {
            var length = names.AsSpan(at).IndexOf((byte)0);
            all.Add(names[at..(at + length)]);
            at += length + 1;
        }
        return all;
    }

    /// <summary>Null when it went away meanwhile.</summary>
    private static byte[]? Get(byte[] path, byte[] name)
    {
        var value = new byte[LongestValue];
        var size = GetOne(path, RawName.Of(name), value, LongestValue);
        if (size >= 0) return value[..(int)size];
        return Marshal.GetLastPInvokeError() is TreeCalls.NoData or TreeCalls.NoEntry ? null : throw TreeCalls.Failed($"read attribute {Encoding.UTF8.GetString(name)} of", path);
    }

    /// <summary>There are no calls relative to an open folder, so its own path in /proc is used; a link at the end is not followed.</summary>
    private static byte[] PathOf(SafeFileHandle parent, byte[] name) =>
        [.. Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{TreeCalls.Number(parent)}/")), .. name];

    [LibraryImport("libc", EntryPoint = "llistxattr", SetLastError = true)]
    private static partial nint ListAll(byte[] path, [Out] byte[]? names, nuint size);

    [LibraryImport("libc", EntryPoint = "lgetxattr", SetLastError = true)]
    private static partial nint GetOne(byte[] path, byte[] name, [Out] byte[] value, nuint size);

    [LibraryImport("libc", EntryPoint = "lsetxattr", SetLastError = true)]
    private static partial int SetOne(byte[] path, byte[] name, byte[] value, nuint size, int flags);

    [LibraryImport("libc", EntryPoint = "lremovexattr", SetLastError = true)]
    private static partial int RemoveOne(byte[] path, byte[] name);
}
