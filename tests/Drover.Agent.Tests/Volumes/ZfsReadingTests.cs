using System.IO.Pipelines;
using Drover.Agent.Volumes.Zfs;
using Xunit;

namespace Drover.Agent.Tests.Volumes;

/// <summary>What is read off the words of `zfs`, and off a stream.</summary>
public sealed class ZfsReadingTests
{
    /// <summary>Of zfs-fuse 0.7.0, 2011.</summary>
    private const string OldUsage = """
        unrecognized command 'help-me'
        usage: zfs command args ...
        where 'command' is one of the following:

        	rename -r <snapshot> <snapshot>
        	send [-RDp] [-[iI] snapshot] <snapshot>
        	receive [-vnF] <filesystem|volume|snapshot>
        	receive [-vnF] -d <filesystem>
        """;

    /// <summary>Of OpenZFS 2.2, as its manual has it.</summary>
    private const string NewUsage = """
        usage: zfs command args ...
        where 'command' is one of the following:

        	send [-DLPbcehnpsVvw] [-i|-I snapshot]
        	     [-R [-X dataset[,dataset]...]]     <snapshot>
        	send [-DnVvPLecw] [-i snapshot|bookmark] <filesystem|volume|snapshot>
        	receive [-vMnsFhu]
        	     [-o <property>=<value>] ... [-x <property>] ...
        	     <filesystem|volume|snapshot>
        """;

    [Fact]
    public void What_a_version_can_is_read_off_its_usage()
    {
        Assert.Equal(ZfsAbilities.Least, ZfsAbilities.Of(OldUsage));
        Assert.Equal(new ZfsAbilities(true, true, true), ZfsAbilities.Of(NewUsage));
        Assert.Equal(ZfsAbilities.Least, ZfsAbilities.Of(""));
    }

    [Fact]
    public void Datasets_and_snapshots_are_read_with_what_is_said_of_them()
    {
        static string Lines(string name, params string[] values) => string.Concat(values.Select(v => $"{name}\t{v.Replace('=', '\t')}\t{(v.StartsWith("drover:", StringComparison.Ordinal) ? "local" : "-")}\n"));
        var text = Lines("t/v/db", "type=filesystem", "referenced=1000", "origin=-", "drover:identity=-")
            + Lines("t/v/db/live-3", "type=filesystem", "referenced=5000", "origin=t/v/db/c-1@s1", "drover:identity=-")
            + Lines("t/v/db/live-3@s2", "type=snapshot", "guid=6414216967767113573", "createtxg=32", "creation=1795853998", "referenced=4000", "origin=-", "drover:identity=-", "drover:going=-")
            + Lines("t/v/db/live-3@s1", "type=snapshot", "guid=12706579316431076311", "createtxg=27", "creation=1795853998", "referenced=4000", "drover:identity=11111111-2222-3333-4444-555555555555", "drover:going=yes")
            + Lines("t/v/db/live-3#mark", "guid=1") + Lines("t/v/db/c-1/%recv", "referenced=1") + "cut short\n";
        var here = ZfsTree.Volume(ZfsTree.Parse(text), "t/v/db");
        Assert.True(here.Exists);
        var live = Assert.Single(here.Datasets);
        Assert.Equal((3L, "t/v/db/c-1@s1", 5000L), (live.Live!.Value.Value, live.Origin, live.Bytes));
        Assert.Equal(["s1", "s2"], here.Snapshots.Select(s => s.Name));
        Assert.Equal(["s2"], here.Visible.Select(s => s.Name));
        Assert.Equal(("7a667300-0000-0000-5903-e059240abf65", 1795853998L), (here.Snapshots[1].Identity.ToString(), here.Snapshots[1].Taken));
        Assert.Equal("11111111-2222-3333-4444-555555555555", here.Snapshots[0].Identity.ToString());
        Assert.False(ZfsTree.Volume([], "t/v/db").Exists);
    }

    [Theory]
    [InlineData("received")]
    [InlineData("inherited from t")]
    [InlineData("-")]
    public void What_a_stream_brought_of_ours_does_not_count(string source)
    {
        var snapshot = Assert.Single(ZfsTree.Parse($"t/v/db\ttype\tfilesystem\t-\nt/v/db@s\tguid\t7\t-\nt/v/db@s\tdrover:going\tyes\t{source}\nt/v/db@s\tdrover:identity\t11111111-2222-3333-4444-555555555555\t{source}\n")[0].Snapshots);
        Assert.False(snapshot.IsGoing);
        Assert.Null(snapshot.Told);
    }

    private static async Task<byte[]> Stream(byte[] contents)
    {
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 0));
        var writer = new ZfsStreamWriter(pipe.Writer);
        writer.Header(new(new Guid("11111111-2222-3333-4444-555555555555"), 7, new Guid("21111111-2222-3333-4444-555555555555"), 8));
        using var from = new MemoryStream(contents);
        while (await writer.Piece(from, default) > 0) { }
        writer.End();
        await pipe.Writer.CompleteAsync();
        var all = new MemoryStream();
        await pipe.Reader.CopyToAsync(all);
        return all.ToArray();
    }

    private static async Task<byte[]> Read(byte[] stream)
    {
        var reader = new ZfsStreamReader(PipeReader.Create(new MemoryStream(stream)));
        Assert.Equal((7UL, 8UL), (await reader.Header(default)) is var h ? (h.Guid, h.BaseGuid) : default);
        var all = new MemoryStream();
        while (await reader.Piece(default) is { IsEmpty: false } piece) all.Write(piece.Span);
        return all.ToArray();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(131072)]
    [InlineData(300000)]
    public async Task A_stream_gives_what_was_put_in(int length)
    {
        var contents = new byte[length];
        new Random(length).NextBytes(contents);
        Assert.Equal(contents, await Read(await Stream(contents)));
    }

    [Fact]
    public async Task Every_flipped_bit_and_every_shortening_is_found()
    {
        var stream = await Stream([.. Enumerable.Range(0, 300).Select(i => (byte)i)]);
        for (var at = 0; at < stream.Length; at++)
        {
            byte[] damaged = [.. stream];
            damaged[at] ^= 0x10;
            await Assert.ThrowsAsync<InvalidDataException>(() => Read(damaged));
            await Assert.ThrowsAsync<InvalidDataException>(() => Read(stream[..at]));
        }
        await Assert.ThrowsAsync<InvalidDataException>(() => Read([.. stream, 0]));
    }

    [Fact]
    public async Task Pieces_that_change_places_are_found()
    {
        const int head = 16 + 48 + 16, piece = 20 + 131072;
        var stream = await Stream([.. Enumerable.Range(0, 400_000).Select(i => (byte)(i / 1000))]);
        byte[] mixed = [.. stream[..head], .. stream[(head + piece)..(head + 2 * piece)], .. stream[head..(head + piece)], .. stream[(head + 2 * piece)..]];
        await Assert.ThrowsAsync<InvalidDataException>(() => Read(mixed));
    }
}
