using System.Buffers.Binary;
using Drover.Agent.Volumes.Zfs;
using Xunit;

namespace Drover.Agent.Tests.Volumes;

/// <summary>What is let through to `zfs receive`.</summary>
public sealed class ZfsReplayTests
{
    private const ulong To = 0x1122334455667788, From = 0x99;

    private static byte[] Record(bool isBig = false, ulong magic = 0x2F5bacbac, uint record = 0, ulong versions = 0x11, uint kind = 2, ulong to = To, ulong from = From)
    {
        var bytes = new byte[312];
        void Small(int at, uint value) { if (isBig) BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(at), value); else BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at), value); }
        void Large(int at, ulong value) { if (isBig) BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(at), value); else BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(at), value); }
        Small(0, record);
        Large(8, magic);
        Large(16, versions);
        Small(32, kind);
        Large(40, to);
        Large(48, from);
        return bytes;
    }

    private static void Check(byte[] record) => ZfsReplay.Check(record, new(Guid.Empty, To, new("21111111-2222-3333-4444-555555555555"), From));

    private static void Refused(string word, byte[] record) => Assert.Contains(word, Assert.Throws<InvalidDataException>(() => Check(record)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_plain_stream_passes_in_either_byte_order_with_the_features_of_new_versions(bool isBig)
    {
        Check(Record(isBig));
        const ulong largeBlocks = 1UL << 19, compressed = 1UL << 22;
        Check(Record(isBig, versions: 1 | ((largeBlocks | compressed) << 2)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Packages_raw_streams_and_all_but_filesystems_are_refused(bool isBig)
    {
        Refused("package", Record(isBig, versions: 2));
        Refused("package", Record(isBig, versions: 0));
        Refused("package", Record(isBig, versions: 3));
        Refused("raw", Record(isBig, versions: 1 | (1UL << 26)));
        Refused("kind 3", Record(isBig, kind: 3));
        Refused("record 1", Record(isBig, record: 1));
        Refused("does not hold", Record(isBig, magic: 0x2F5bacbad));
    }

    [Fact]
    public void Another_snapshot_or_base_than_announced_is_refused()
    {
        Refused("against", Record(to: To + 1));
        Refused("against", Record(from: 0));
        Refused("first record", Record()[..55]);
        Refused("first record", []);
    }
}
