using System.Text;
using Drover.Cli.Output;
using Drover.Contracts.Volumes;
using Xunit;

namespace Drover.Cli.Tests;

public sealed class VolumeFileFormatTests
{
    private static readonly VolumeFileHeader Header = new(1, "data", "nightly", new(2026, 1, 5, 12, 0, 0, TimeSpan.Zero), new(2026, 1, 5, 13, 0, 0, TimeSpan.Zero), "tree-1", "zstd", 77, 1 << 30);

    private static async Task<byte[]> File()
    {
        var file = new MemoryStream();
        using var writer = new VolumeFileWriter(file);
        await writer.Begin(Header, default);
        await writer.Block(Encoding.UTF8.GetBytes("first"), 5, default);
        await writer.Block(Encoding.UTF8.GetBytes("pa"), 9, default);
        await writer.End(default);
        return file.ToArray();
    }

    private static async Task<(VolumeFileHeader Header, string Blocks)> Read(byte[] file)
    {
        using var reader = new VolumeFileReader(new MemoryStream(file));
        var header = await reader.Begin(default);
        var blocks = new StringBuilder();
        while (await reader.Next(default) is (var stored, var raw)) blocks.Append(Encoding.UTF8.GetString(stored.Span)).Append(raw).Append(' ');
        return (header, blocks.ToString());
    }

    [Fact]
    public async Task What_was_written_is_read() => Assert.Equal((Header, "first5 pa9 "), await Read(await File()));

    [Fact]
    public async Task A_file_cut_at_any_byte_is_no_file()
    {
        var file = await File();
        for (var length = 0; length < file.Length; length++) await Assert.ThrowsAsync<InvalidDataException>(() => Read(file[..length]));
    }

    [Fact]
    public async Task A_file_changed_in_any_bit_is_no_file()
    {
        var file = await File();
        for (var bit = 0; bit < 8 * file.Length; bit++)
        {
            file[bit / 8] ^= (byte)(1 << (bit % 8));
            await Assert.ThrowsAsync<InvalidDataException>(() => Read(file));
            file[bit / 8] ^= (byte)(1 << (bit % 8));
        }
        await Read(file);
    }

    [Fact]
    public async Task Another_version_and_words_that_would_draw_on_a_terminal()
    {
        var other = new MemoryStream();
        using (var writer = new VolumeFileWriter(other)) await writer.Begin(Header with { Version = 2 }, default);
        Assert.Contains("version 2", (await Assert.ThrowsAsync<InvalidDataException>(() => Read(other.ToArray()))).Message, StringComparison.Ordinal);
        Assert.Equal("[31mred", VolumeFile.Read(VolumeFile.Write(Header with { Volume = "\u001b[31mred" }).AsSpan(VolumeFile.Before)).Volume);
    }

    [Fact]
    public void Progress_says_how_far_how_fast_and_how_long_yet()
    {
        Assert.Equal("1 GiB of about 4 GiB  512 MiB/s  6 s left", TransferProgress.Line(1L << 30, 4L << 30, TimeSpan.FromSeconds(2)));
        Assert.Equal("1 GiB  512 MiB/s", TransferProgress.Line(1L << 30, null, TimeSpan.FromSeconds(2)));
        Assert.Equal("5 GiB of about 4 GiB  2.5 GiB/s", TransferProgress.Line(5L << 30, 4L << 30, TimeSpan.FromSeconds(2)));
    }
}
