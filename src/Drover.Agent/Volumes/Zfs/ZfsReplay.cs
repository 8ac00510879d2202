using System.Buffers.Binary;

namespace Drover.Agent.Volumes.Zfs;

/// <summary>
/// Looks at the record that a stream of `zfs send` begins with, before `zfs receive` sees any of it. A package (`send -p`, `-R`) sets properties, so where things are mounted and
/// what may be run there; a raw stream brings a key of its own. Neither is ever made by this driver.
/// </summary>
/// <remarks>Layout: struct drr_begin of sys/zfs_ioctl.h; in the byte order of who sent it.</remarks>
internal static class ZfsReplay
{
    /// <summary>As far as it is looked at: behind that the name of the snapshot where it was sent from, which counts for nothing.</summary>
    public const int Length = 56;
    private const ulong Magic = 0x2F5bacbac, RawFlag = 1UL << 24, KindMask = 3, PlainStream = 1;
    private const uint Begin = 0, Filesystem = 2;

    /// <exception cref="InvalidDataException">It is not the plain stream of one snapshot that the head announced.</exception>
    public static void Check(ReadOnlySpan<byte> start, ZfsHeader announced)
    {
        if (start.Length < Length) throw new InvalidDataException($"the stream holds {start.Length} bytes of `zfs send`, less than its first record");
        var magic = start[8..];
        var isBig = BinaryPrimitives.ReadUInt64BigEndian(magic) == Magic;
        if (!isBig && BinaryPrimitives.ReadUInt64LittleEndian(magic) != Magic) throw new InvalidDataException("the stream does not hold what `zfs send` writes");
        var (record, versions, kind) = (Small(start, isBig), Large(start[16..], isBig), Small(start[32..], isBig));
        if (record != Begin) throw new InvalidDataException($"the stream begins with record {record} of `zfs send`, not with its first");
        if ((versions & KindMask) != PlainStream) throw new InvalidDataException("the stream is a package of `zfs send -p` or `-R`, which sets properties: only plain streams are received");
        // The features' flags stand behind the two bits of the kind.
        if (((versions >> 2) & RawFlag) != 0) throw new InvalidDataException("the stream is a raw one of an encrypted dataset: only plain streams are received");
        if (kind != Filesystem) throw new InvalidDataException($"the stream holds a dataset of kind {kind}: only filesystems are received");
        var (to, from) = (Large(start[40..], isBig), Large(start[48..], isBig));
        if (to != announced.Guid || from != announced.BaseGuid) throw new InvalidDataException($"the stream holds snapshot {to} against {from}, its head names {announced.Guid} against {announced.BaseGuid}");
    }

    private static uint Small(ReadOnlySpan<byte> at, bool isBig) => isBig ? BinaryPrimitives.ReadUInt32BigEndian(at) : BinaryPrimitives.ReadUInt32LittleEndian(at);
    private static ulong Large(ReadOnlySpan<byte> at, bool isBig) => isBig ? BinaryPrimitives.ReadUInt64BigEndian(at) : BinaryPrimitives.ReadUInt64LittleEndian(at);
}
