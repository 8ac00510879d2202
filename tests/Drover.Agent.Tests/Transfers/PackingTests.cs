using System.Buffers.Binary;
using Drover.Agent.Transfers;
using Drover.Agent.Volumes;
using Drover.Testing;
using Xunit;

namespace Drover.Agent.Tests.Transfers;

public sealed class PackingTests
{
    private const int Piece = 256_000;
    private static readonly byte[] Text = [.. Enumerable.Range(0, Piece).Select(i => (byte)(i / 100 % 7))];

    /// <param name="link">MB/s.</param>
    private static PackingChoice Measured(double link, double compressor, double ratio)
    {
        var choice = new PackingChoice();
        for (var i = 0; i < 40; i++) choice.Sent(Piece, TimeSpan.FromSeconds(Piece / (link * 1e6)));
        for (var i = 0; i < 4; i++) choice.Packed(Piece, (int)(Piece * ratio), TimeSpan.FromSeconds(Piece / (compressor * 1e6)));
        return choice;
    }

    [Theory]
    [InlineData(10, 200, 0.5, true)]   // a slow way, data that shrinks
    [InlineData(10, 200, 1.0, false)]  // nothing to gain
    [InlineData(90, 100, 0.5, false)]  // the compressor is hardly faster than the way
    [InlineData(90, 500, 0.3, true)]
    [InlineData(150, 2000, 0.1, false)] // as fast as disks: never
    [InlineData(1000, 250, 0.5, false)]
    public void It_compresses_only_while_the_way_is_slower_than_the_compressor(double link, double compressor, double ratio, bool packs) =>
        Assert.Equal(packs, Measured(link, compressor, ratio).Next());

    [Fact]
    public void It_tries_once_in_a_while_whether_the_data_has_become_another()
    {
        var choice = Measured(10, 200, 1.0);
        Assert.Equal(1, Enumerable.Range(0, 64).Count(_ => choice.Next()));
    }

    [Fact]
    public void Nothing_is_known_at_first() => Assert.False(new PackingChoice().Next());

    [Fact]
    public void A_piece_comes_back_as_it_was_and_noise_is_left_alone()
    {
        using var packer = new Packer(TimeProvider.System);
        using var unpacker = new Unpacker();
        var (frame, length) = packer.Pack(Text)!.Value;
        Assert.InRange(length, 1, Piece / 4);
        var payload = frame.AsSpan(FrameChannel.HeaderSize, length - FrameChannel.HeaderSize - FrameChannel.HashSize);
        var back = new byte[Unpacker.LengthOf(payload)];
        unpacker.Unpack(payload, back);
        Assert.Equal(Text, back);
        var noise = new byte[Piece];
        var chance = new SeededChance(1);
        for (var i = 0; i + 16 <= noise.Length; i += 16) chance.NewGuid().TryWriteBytes(noise.AsSpan(i));
        Assert.Null(packer.Pack(noise));
    }

    [Theory]
    [InlineData(0), InlineData(-1), InlineData(int.MaxValue), InlineData(FrameChannel.MaxData + 1)]
    public void A_length_that_cannot_be_is_refused_before_anything_is_made_for_it(int length)
    {
        var payload = new byte[100];
        BinaryPrimitives.WriteInt32BigEndian(payload, length);
        Assert.Throws<InvalidDataException>(() => Unpacker.LengthOf(payload));
    }

    [Theory]
    [InlineData(-1), InlineData(1)]
    public void A_frame_that_holds_another_length_than_it_says_is_refused(int off)
    {
        using var packer = new Packer(TimeProvider.System);
        using var unpacker = new Unpacker();
        var (frame, length) = packer.Pack(Text)!.Value;
        var payload = frame[FrameChannel.HeaderSize..(length - FrameChannel.HashSize)];
        Assert.Throws<InvalidDataException>(() => unpacker.Unpack(payload, new byte[Piece + off]));
        payload.AsSpan(8).Fill(0xff);
        Assert.Throws<InvalidDataException>(() => unpacker.Unpack(payload, new byte[Piece]));
    }

    [Fact]
    public async Task Over_a_slow_way_less_goes_out_and_the_same_arrives_also_after_a_cut()
    {
        await using var pair = await TransferPair.Open();
        await using var proxy = Drover.Testing.Transfers.CuttingProxy.Open(pair.Port, 1_800_000);
        for (var i = 0; i < 20; i++) pair.Source.Write(TransferPair.Db, $"f{i}", [(byte)i, .. Text]);
        pair.Port = proxy.Port;
        var outcome = await pair.Send(pair.Round("s1", bytesPerSecond: 2_000_000));
        Assert.InRange(outcome.WireBytes, 1, outcome.Bytes * 8 / 10);
        Assert.True((await pair.Target.Promote(TransferPair.Db, new("s1"), new(2), default)).Ok);
        Assert.Equal(pair.Source.Contents(TransferPair.Db, new(1)), pair.Target.Contents(TransferPair.Db, new(2)));
    }
}
