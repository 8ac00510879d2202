using System.IO.Pipelines;
using System.Text;
using Drover.Agent.Volumes;
using Drover.Agent.Volumes.Trees;
using Drover.Conformance;
using Drover.Core;
using Drover.Testing;
using Xunit;

namespace Drover.Platform.Tests.Volumes;

/// <summary>Streams made by one who knows the format and means harm: refused with the reason, nothing left, nothing outside touched.</summary>
[Collection("pools")]
[Trait("needs", "root")]
public sealed class HostileTreeTests
{
    private static readonly VolumeName Db = new("db");
    private static readonly TreeMeta Plain = new(0x1A4, 0, 0, new(1, 0), []);

    /// <summary>Each begins with a whole header; what follows is the attack. `OUT` is a folder outside the pool with one file, `kept`.</summary>
    private static readonly Dictionary<string, Action<Forge>> Attacks = new()
    {
        ["a file one up"] = f => f.File("../up", "x"),
        ["a file at an absolute path"] = f => f.File("/up", "x"),
        ["a file up and down"] = f => f.Folder("a").File("a/../../up", "x"),
        ["a file through an empty name"] = f => f.Folder("a").File("a//up", "x"),
        ["a file called dot"] = f => f.File(".", "x"),
        ["a file without a name"] = f => f.File("", "x"),
        ["a name with a zero in it"] = f => f.File("a\0b", "x"),
        ["a name too long"] = f => f.File(new string('n', 256), "x"),
        ["a path too deep"] = f => f.File(string.Join('/', Enumerable.Repeat("d", 600)), "x"),
        ["a file through a link"] = f => f.Link("out", f.Outside).File("out/new", "x"),
        ["a folder through a link"] = f => f.Link("out", f.Outside).Folder("out/new"),
        ["a node through a link"] = f => f.Link("out", f.Outside).Node("out/new"),
        ["a removal through a link"] = f => f.Link("out", f.Outside).Remove("out/kept"),
        ["a further name of what is outside"] = f => f.Link("out", f.Outside).HardLink("mine", "out/kept"),
        ["a further name one up"] = f => f.HardLink("mine", "../../ledger.json"),
        ["a further name through a link"] = f => f.File("mine", "x").Link("out", f.Outside).HardLink("out/new", "mine"),
        ["a change of what a link shows"] = f => f.Link("kept", f.Outside + "/kept").File("kept", "x", isPatch: true),
        ["an owner of what a link shows"] = f => f.Link("out", f.Outside).Meta("out"),
        ["a removal of the root"] = f => f.Remove(""),
        ["a removal one up"] = f => f.Remove(".."),
        ["a file in place of a folder"] = f => f.Folder("a").File("a", "x"),
        ["a file in a file"] = f => f.File("a", "x").File("a/b", "x"),
        ["a folder twice"] = f => f.Folder("a").Folder("a"),
        ["a change of what is not there"] = f => f.File("a", "x", isPatch: true),
        ["a block without a file"] = f => f.Block(0, "x"),
        ["a block beyond its file"] = f => f.Begin("a", 1).Block(131072, "x"),
        ["a block before the last one"] = f => f.Begin("a", 2).Block(0, "xx").Block(0, "yy"),
        ["a block at no place of a block"] = f => f.Begin("a", 9).Block(5, "xxxx"),
        ["a block cut short"] = f => f.Begin("a", 9).Block(0, "xx"),
        ["zeros without end"] = f => f.Begin("a", long.MaxValue).Zero(0, long.MaxValue),
        ["a file of a negative size"] = f => f.Begin("a", -1),
        ["a file larger than any can be"] = f => f.Begin("a", long.MaxValue).FileEnd("", 0),
        ["contents that are not what they should be"] = f => f.Begin("a", 1).Block(0, "x").FileEnd("y", 0),
        ["an entry in the middle of a file"] = f => f.Begin("a", 1).Folder("b"),
        ["a file without an end"] = f => f.Begin("a", 1).Block(0, "x"),
        ["an attribute of the system"] = f => f.Meta("", KeyValuePair.Create("system.evil", "x")),
        ["an attribute of no kind"] = f => f.Meta("", KeyValuePair.Create("evil", "x")),
        ["more attributes than are allowed"] = f => f.Meta("", [.. Enumerable.Range(0, 65).Select(i => new KeyValuePair<string, string>($"user.a{i:D2}", "x"))]),
        ["a mode of other bits"] = f => f.Raw(TreeRecord.Meta, w => w.Bytes([]).Meta(Plain with { Mode = 0xFFFF })),
        ["a time of too many nanoseconds"] = f => f.Raw(TreeRecord.Meta, w => w.Bytes([]).Meta(Plain with { Modified = new(1, 2_000_000_000) })),
        ["a node that is a folder"] = f => f.Raw(TreeRecord.Node, w => w.Bytes("a"u8).Meta(Plain).Byte((byte)EntryKind.Folder).Number(0u).Number(0u)),
        ["a link to nothing"] = f => f.Link("a", ""),
        ["a record of no kind"] = f => f.Raw((TreeRecord)99, w => w.Number(0u)),
        ["a record with more in it"] = f => f.Raw(TreeRecord.Folder, w => w.Bytes("a"u8).Byte(1)),
        ["a record with less in it"] = f => f.Raw(TreeRecord.File, w => w.Bytes("a"u8)),
        ["a length that lies"] = f => f.Raw(TreeRecord.Folder, w => w.Number(uint.MaxValue)),
        ["a second header"] = f => f.Raw(TreeRecord.Header, w => w.Identity(new Guid("99999999-2222-3333-4444-555555555555")).Byte(0).Identity(Guid.Empty)),
        ["a wrong count at the end"] = f => f.Raw(TreeRecord.End, w => w.Number(77L)),
    };

    public static TheoryData<string, string> Cases()
    {
        var cases = new TheoryData<string, string>();
        foreach (var attack in Attacks.Keys) { cases.Add("btrfs", attack); cases.Add("directory", attack); }
        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task It_is_refused_and_nothing_is_left(string kind, string attack)
    {
        await using var pool = await Pools.Of(kind);
        using var outside = new TemporaryFolder();
        await File.WriteAllTextAsync(outside.File("kept"), "kept");
        var before = Seen(outside.Path);
        var stream = await Forge.Stream(outside.Path, Attacks[attack]);
        var failed = await Assert.ThrowsAsync<InvalidDataException>(() => pool.Driver.Receive(Db, new("s1"), null, StreamFormat.Tree1, PipeReader.Create(new(stream)), default));
        Assert.False(string.IsNullOrWhiteSpace(failed.Message));
        Assert.Equal(before, Seen(outside.Path));
        Assert.Null(await pool.Driver.Inspect(Db, default));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(Pools.FolderOf(pool), "volumes", "db", "incoming")));
        Assert.Equal(["ledger.json"], Directory.EnumerateFiles(Path.Combine(Pools.FolderOf(pool), "volumes", "db")).Select(f => Path.GetFileName(f)));
    }

    [Theory]
    [InlineData("btrfs")]
    [InlineData("directory")]
    public async Task A_file_takes_the_place_of_a_link_and_does_not_go_through_it(string kind)
    {
        await using var pool = await Pools.Of(kind);
        using var outside = new TemporaryFolder();
        await File.WriteAllTextAsync(outside.File("kept"), "kept");
        var before = Seen(outside.Path);
        var stream = await Forge.Stream(outside.Path, f => f.Link("a", f.Outside + "/kept").File("a", "mine").Meta(""));
        await using (var incoming = await pool.Driver.Receive(Db, new("s1"), null, StreamFormat.Tree1, PipeReader.Create(new(stream)), default)) await incoming.Accept(default);
        Assert.Equal(before, Seen(outside.Path));
        var received = Path.Combine(Pools.FolderOf(pool), "volumes", "db", "snapshots", "s1", "data", "a");
        Assert.Equal("mine", await File.ReadAllTextAsync(received));
        Assert.Null(new FileInfo(received).LinkTarget);
    }

    [Fact]
    public async Task Every_flipped_byte_of_a_stream_is_found()
    {
        await using var pool = await Pools.Of("directory");
        var stream = await Forge.Stream("/nowhere", f => f.Folder("a").File("a/b", "contents").Link("c", "a/b").HardLink("d", "a/b").Meta("a", KeyValuePair.Create("user.x", "y")).Meta(""));
        for (var at = 0; at < stream.Length; at++)
        {
            var damaged = stream.ToArray();
            damaged[at] ^= 0x01;
            try
            {
                await Assert.ThrowsAsync<InvalidDataException>(() => pool.Driver.Receive(Db, new("s1"), null, StreamFormat.Tree1, PipeReader.Create(new(damaged)), default));
            }
            catch (Xunit.Sdk.XunitException e) { throw new InvalidOperationException($"byte {at} of {stream.Length}", e); }
        }
        Assert.Null(await pool.Driver.Inspect(Db, default));
    }

    [Fact]
    public async Task Every_shortened_stream_is_found()
    {
        await using var pool = await Pools.Of("directory");
        var stream = await Forge.Stream("/nowhere", f => f.Folder("a").File("a/b", "contents").Meta("a").Meta(""));
        for (var length = 0; length < stream.Length; length++)
            await Assert.ThrowsAsync<InvalidDataException>(() => pool.Driver.Receive(Db, new("s1"), null, StreamFormat.Tree1, PipeReader.Create(new(stream.AsMemory(0, length))), default));
        await Assert.ThrowsAsync<InvalidDataException>(() => pool.Driver.Receive(Db, new("s1"), null, StreamFormat.Tree1, PipeReader.Create(new([.. stream, 0])), default));
        await using (await pool.Driver.Receive(Db, new("s1"), null, StreamFormat.Tree1, PipeReader.Create(new(stream)), default)) { }
    }

    private static string Seen(string folder) => TreeHash.Of(folder) + string.Join(' ', new DirectoryInfo(folder).EnumerateFileSystemInfos().Select(i => $"{i.LastWriteTimeUtc.Ticks}")) + new DirectoryInfo(folder).LastWriteTimeUtc.Ticks;
}

/// <summary>Pools of both kinds, by the driver's name.</summary>
internal static class Pools
{
    public static async Task<IPoolBench> Of(string kind)
    {
        IPoolBench pool = kind switch { "btrfs" => await LoopPool.Make(), "zfs" => await ZfsPool.Make(), _ => await FolderPool.Make() };
        await pool.Driver.Recover(default);
        return pool;
    }

    public static string FolderOf(IPoolBench pool) => pool switch { LoopPool loop => loop.Pool, ZfsPool zfs => zfs.Pool, _ => ((FolderPool)pool).Pool };

    public static string MountOf(IPoolBench pool, VolumeName volume) => Path.Combine(pool switch { LoopPool loop => loop.MountRoot, ZfsPool zfs => zfs.MountRoot, _ => ((FolderPool)pool).MountRoot }, volume.Value);
}

/// <summary>Writes records as asked, right in every hash.</summary>
internal sealed class Forge(PipeWriter to, string outside)
{
    private readonly TreeRecordWriter _out = new(to);
    private readonly List<Task> _written = [];

    public string Outside => outside;

    public static async Task<byte[]> Stream(string outside, Action<Forge> attack)
    {
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 0));
        var forge = new Forge(pipe.Writer, outside);
        forge._out.Magic();
        forge.Raw(TreeRecord.Header, w => w.Identity(new Guid("11111111-2222-3333-4444-555555555555")).Byte(0).Identity(Guid.Empty));
        attack(forge);
        forge.Raw(TreeRecord.End, w => w.Number(w.Count));
        await Task.WhenAll(forge._written);
        await pipe.Writer.CompleteAsync();
        var all = new MemoryStream();
        await pipe.Reader.CopyToAsync(all);
        return all.ToArray();
    }

    public Forge Raw(TreeRecord kind, Action<TreeRecordWriter> fields)
    {
        fields(_out.Begin(kind));
        _written.Add(_out.Done(default).AsTask());
        return this;
    }

    private static byte[] Path(string path) => Encoding.UTF8.GetBytes(path);
    private static TreeMeta Of(params KeyValuePair<string, string>[] attributes) => new(0x1ED, 0, 0, new(1, 0), [.. attributes.Select(a => new Agent.Volumes.Trees.Attribute(Path(a.Key), Path(a.Value)))]);

    public Forge Folder(string path) => Raw(TreeRecord.Folder, w => w.Bytes(Path(path)));
    public Forge Meta(string path, params KeyValuePair<string, string>[] attributes) => Raw(TreeRecord.Meta, w => w.Bytes(Path(path)).Meta(Of(attributes)));
    public Forge Link(string path, string target) => Raw(TreeRecord.Link, w => w.Bytes(Path(path)).Meta(Of()).Bytes(Path(target)));
    public Forge Node(string path) => Raw(TreeRecord.Node, w => w.Bytes(Path(path)).Meta(Of()).Byte((byte)EntryKind.Fifo).Number(0u).Number(0u));
    public Forge HardLink(string path, string first) => Raw(TreeRecord.HardLink, w => w.Bytes(Path(path)).Bytes(Path(first)));
    public Forge Remove(string path) => Raw(TreeRecord.Remove, w => w.Bytes(Path(path)));
    public Forge Begin(string path, long size, bool isPatch = false) => Raw(TreeRecord.File, w => w.Bytes(Path(path)).Byte((byte)(isPatch ? 1 : 0)).Number(size).Meta(Of()));
    public Forge Zero(long at, long length) => Raw(TreeRecord.Zero, w => w.Number(at).Number(length));
    public Forge Block(long at, string data) => Raw(TreeRecord.Block, w => { w.Number(at); Path(data).CopyTo(w.Rest(Path(data).Length)); });

    public Forge FileEnd(string contents, long at) => Raw(TreeRecord.FileEnd, w =>
    {
        var hash = new ContentHash();
        if (contents.Length > 0) hash.Add(at, Path(contents));
        hash.Value(w.Rest(16));
    });

    public Forge File(string path, string contents, bool isPatch = false) => Begin(path, contents.Length, isPatch).Block(0, contents).FileEnd(contents, 0);
}
