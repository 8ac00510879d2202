using System.Buffers;
using Drover.Agent.Volumes.Btrfs;
using Drover.Testing;
using Xunit;

namespace Drover.Agent.Tests.Volumes;

/// <summary>A stream of btrfs is read whole or refused: it comes from another machine.</summary>
public sealed class SendStreamTests
{
    private static readonly Guid Own = new("11111111-2222-3333-4444-555555555555"), Basis = new("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");

    private static byte[] Whole() => new StreamWriter1().Snapshot(Own, Basis).MakeFile("a/new").Write("a/new", 4096, [1, 2, 3]).End();

    /// <summary>As it comes over a pipe: in pieces, whose ends fall anywhere.</summary>
    private static List<SendCommand>? Parsed(byte[] stream)
    {
        var first = new Piece([], 0);
        var last = first;
        for (var at = 0; at < stream.Length; at += 7) last = last.Then(stream[at..Math.Min(stream.Length, at + 7)]);
        return SendStream.Parse(new ReadOnlySequence<byte>(first, 0, last, last.Memory.Length), new HeldCommands());
    }

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(byte[] bytes, long at) => (Memory, RunningIndex) = (bytes, at);

        public Piece Then(byte[] bytes)
        {
            var next = new Piece(bytes, RunningIndex + Memory.Length);
            Next = next;
            return next;
        }
    }

    [Fact]
    public void Commands_come_out_as_they_went_in()
    {
        var commands = Parsed(Whole())!;
        Assert.Equal([SendKind.Snapshot, SendKind.MakeFile, SendKind.Write, SendKind.End], commands.Select(c => c.Kind));
        Assert.Equal((Own, Basis), (commands[0].Uuid, commands[0].CloneUuid));
        Assert.Equal("a/new", commands[1].Path.ToString());
        Assert.Equal(4096, commands[2].Offset);
        Assert.Equal([1, 2, 3], commands[2].Data.ToArray());
        Assert.True(SendReplay.Knows(commands));
    }

    [Fact]
    public void Cut_short_anywhere_it_is_refused()
    {
        var whole = Whole();
        for (var length = 0; length < whole.Length; length++) Assert.Throws<InvalidDataException>(() => Parsed(whole[..length]));
    }

    [Fact]
    public void A_changed_byte_anywhere_is_found()
    {
        var whole = Whole();
        for (var at = 0; at < whole.Length; at++)
        {
            var damaged = (byte[])whole.Clone();
            damaged[at] ^= 0x10;
            Assert.Throws<InvalidDataException>(() => Parsed(damaged));
        }
    }

    [Theory]
    [InlineData("../out")]
    [InlineData("a/../../out")]
    [InlineData("/etc/passwd")]
    [InlineData("a//b")]
    public void A_path_out_of_the_tree_is_refused(string path) => Assert.Throws<InvalidDataException>(() => Parsed(new StreamWriter1().Snapshot(Own, Basis).MakeFile(path).End()));

    [Fact]
    public void What_follows_the_end_is_refused() => Assert.Throws<InvalidDataException>(() => Parsed((byte[])[.. Whole(), 0]));

    [Fact]
    public void Renames_without_end_take_no_file_handles_without_end()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder.File("tree/in"));
        var stream = new StreamWriter1().Snapshot(Own, Basis).MakeFile("in/a");
        for (var i = 0; i < 2000; i++) stream.Write(i % 2 == 0 ? "in/a" : "in/b", 0, [1]).Rename(i % 2 == 0 ? "in/a" : "in/b", i % 2 == 0 ? "in/b" : "in/a");
        var before = Directory.EnumerateFileSystemEntries("/proc/self/fd").Count();
        using var replay = SendReplay.Of(Parsed(stream.End())!, folder.File("tree"));
        Assert.InRange(Directory.EnumerateFileSystemEntries("/proc/self/fd").Count() - before, 0, 300);
        Assert.True(File.Exists(folder.File("tree/in/a")));
    }

    [Fact]
    public void More_commands_than_are_worth_holding_are_left_to_the_program()
    {
        var stream = new StreamWriter1().Snapshot(Own, Basis);
        for (var i = 0; i < 70_000; i++) stream.Rename("a", "b");
        Assert.Null(Parsed(stream.End()));
    }
}
