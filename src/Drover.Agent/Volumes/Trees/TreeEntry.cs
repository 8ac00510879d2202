namespace Drover.Agent.Volumes.Trees;

internal enum EntryKind : byte { Folder = 1, File, Link, Fifo, Socket, Character, Block }

/// <summary>What the kernel says of one entry of a tree, never of what a symbolic link points to.</summary>
/// <param name="Mode">Permissions, with set-uid, set-gid and sticky.</param>
internal readonly record struct TreeEntry(
    EntryKind Kind, ushort Mode, uint User, uint Group, ulong Device, ulong Inode, uint Links, long Size, long Blocks, Moment Modified, Moment Changed, uint Major, uint Minor)
{
    /// <summary>What a copy of it has the same, beside its contents.</summary>
    public TreeMeta Meta(IReadOnlyList<Attribute> attributes) => new(Mode, User, Group, Modified, attributes);
}

internal readonly record struct Moment(long Seconds, uint Nanoseconds) : IComparable<Moment>
{
    public int CompareTo(Moment other) => Seconds != other.Seconds ? Seconds.CompareTo(other.Seconds) : Nanoseconds.CompareTo(other.Nanoseconds);
}

internal sealed record TreeMeta(ushort Mode, uint User, uint Group, Moment Modified, IReadOnlyList<Attribute> Attributes)
{
    public bool SameAs(TreeMeta other) => Mode == other.Mode && User == other.User && Group == other.Group && Modified == other.Modified
        && Attributes.Count == other.Attributes.Count && Attributes.Zip(other.Attributes).All(pair => pair.First.SameAs(pair.Second));
}

/// <summary>An extended attribute, in the bytes of the kernel; the name without its closing zero.</summary>
internal readonly record struct Attribute(byte[] Name, byte[] Value)
{
    public bool SameAs(Attribute other) => Name.AsSpan().SequenceEqual(other.Name) && Value.AsSpan().SequenceEqual(other.Value);
}

/// <summary>A name or path as the kernel has it: bytes of no known encoding, closed by a zero.</summary>
internal static class RawName
{
    public const int Longest = 255;
    public static readonly byte[] Here = [(byte)'.', 0];

    public static byte[] Of(ReadOnlySpan<byte> name) => [.. name, 0];

    public static ReadOnlySpan<byte> Bytes(byte[] raw) => raw.AsSpan(0, raw.Length - 1);

    /// <summary>For people: what is no UTF-8 is shown as such.</summary>
    public static string Text(ReadOnlySpan<byte> bytes) => System.Text.Encoding.UTF8.GetString(bytes);
}
