using System.Text;
using Drover.Agent.Volumes;
using Drover.Cli.Commands;
using Drover.Cli.Control;
using Drover.Contracts.Volumes;
using Drover.Core;
using Drover.Core.Volumes;
using Drover.Testing;
using Grpc.Core;
using Xunit;

namespace Drover.Platform.Tests.Volumes;

/// <summary>Volumes as files, from a real pool through the API and back into another one. node1 has btrfs, node2 folders.</summary>
[Collection("pools")]
[Trait("needs", "root")]
public sealed class VolumeFileTests : IAsyncLifetime
{
    private static readonly VolumeName Data = new("data");
    private LoopPool _btrfs = null!;
    private FolderPool _folders = null!;
    private FilePlane _plane = null!;
    private FileNode _node1 = null!, _node2 = null!;

    public async ValueTask InitializeAsync()
    {
        (_btrfs, _folders, _plane) = (await LoopPool.Make(), await FolderPool.Make(), await FilePlane.Start());
        await _btrfs.Driver.Recover(default);
        await _folders.Driver.Recover(default);
        (_node1, _node2) = (await _plane.Node("node1", _btrfs.Driver), await _plane.Node("node2", _folders.Driver));
        Assert.Equal(202, (await _plane.Post("/api/v1/volumes", new StringContent("""{"name":"data","node":"node1","size":"64MiB"}"""))).Status);
        await _plane.Until(s => s.Volumes[Data].Initialized);
        Assert.True((await _btrfs.Driver.Mount(Data, new(1), default)).Ok);
        _btrfs.Write(Data, "deep/row", "acknowledged"u8.ToArray());
        _btrfs.Write(Data, "noise", Noise(3 << 20));
        _btrfs.Write(Data, "zeros", new byte[4 << 20]);
    }

    public async ValueTask DisposeAsync()
    {
        await _plane.DisposeAsync();
        await _btrfs.DisposeAsync();
        await _folders.DisposeAsync();
    }

    private static byte[] Noise(int length)
    {
        var bytes = new byte[length];
        var chance = new SeededChance(5);
        for (var at = 0; at < length; at += 16) chance.NewGuid().TryWriteBytes(bytes.AsSpan(at));
        return bytes;
    }

    private Task<byte[]> Exported(string query = "") => _plane.Http.GetByteArrayAsync($"/api/v1/volumes/data/export{query}");

    private static async Task<VolumeFileHeader> Whole(byte[] file)
    {
        using var reader = new VolumeFileReader(new MemoryStream(file));
        var header = await reader.Begin(default);
        while (await reader.Next(default) is not null) { }
        return header;
    }

    private async Task Untouched(string name)
    {
        Assert.False(_plane.Cluster.Current.Volumes.ContainsKey(new(name)));
        Assert.DoesNotContain(_plane.Cluster.Current.OpenOperations, o => o.Volume.Value == name);
        foreach (var (driver, pool) in new (IVolumeDriver, string)[] { (_btrfs.Driver, _btrfs.Pool), (_folders.Driver, _folders.Pool) })
        {
            Assert.Null(await driver.Inspect(new(name), default));
            Assert.False(Directory.Exists(Path.Combine(pool, "volumes", name)));
        }
    }

    [Fact]
    public async Task A_volume_goes_through_a_file_to_a_pool_of_another_kind_and_back_while_it_is_in_use()
    {
        using var use = _btrfs.Open(Data, "in-use");
        var file = await Exported();
        var header = await Whole(file);
        Assert.Equal(("data", 64L << 20, "tree-1"), (header.Volume, header.SizeBytes, header.Format));
        Assert.InRange(file.Length, 3 << 20, 4 << 20);
        // What was taken for it is gone.
        await _plane.Until(s => s.Volumes[Data].Snapshots.Count == 0);
        Assert.Contains((await _plane.Audit.Tail(20, default)), e => e.What == "GET /api/v1/volumes/data/export" && e.Outcome == "200");

        var imported = await _plane.Import("copy", file, "?node=node2&size=none");
        Assert.True(imported.Status == 200, imported.Text);
        Assert.Equal(_btrfs.Contents(Data, new(1)), _folders.Contents(new("copy"), new(1)));
        var copy = _plane.Cluster.Current.Volumes[new("copy")];
        Assert.Equal(("node2", true, 1L), (copy.Primary!.Value.Value, copy.Initialized, copy.Epoch.Value));

        Assert.Equal(202, (await _plane.Post("/api/v1/volumes/data/snapshots", new StringContent("""{"name":"kept"}"""))).Status);
        await _plane.Until(s => s.Volumes[Data].Snapshots.Items.Any(s => s.Name.Value == "kept"));
        var again = await Exported("?snapshot=kept&limit=50000000");
        var back = await _plane.Import("back", again, "?node=node1&limit=50000000");
        Assert.True(back.Status == 200, back.Text);
        Assert.Equal(_btrfs.Contents(Data, new(1)), _btrfs.Contents(new("back"), new(1)));
        // Its own identity and its size: neither pool nor move takes it for the other.
        var (of, here) = ((await _btrfs.Driver.Inspect(Data, default))!, (await _btrfs.Driver.Inspect(new("back"), default))!);
        Assert.Equal(new ByteCount(64 << 20), here.Limit);
        Assert.NotEqual(of.Snapshots[0].Identity, here.Snapshots[0].Identity);
        Assert.Single(_plane.Cluster.Current.Volumes[Data].Snapshots);
    }

    [Fact]
    public async Task The_command_line_writes_a_whole_file_or_none_and_reads_it()
    {
        using var folder = new TemporaryFolder();
        var (control, file) = ($"--control={_plane.Http.BaseAddress}", folder.File("data.drovervol"));
        Task<int> Drover(params string[] words) => RootCommands.Build().Parse([.. words, control]).InvokeAsync(new System.CommandLine.InvocationConfiguration { EnableDefaultExceptionHandler = false }, CancellationToken.None);
        Assert.Equal(0, await Drover("volume", "export", "data", file, "--limit", "80MB/s"));
        await Whole(await File.ReadAllBytesAsync(file));
        Assert.Contains("already", (await Assert.ThrowsAsync<CommandFailure>(() => Drover("volume", "export", "data", file))).Message, StringComparison.Ordinal);
        Assert.Equal(ExitCode.NotFound, (await Assert.ThrowsAsync<CommandFailure>(() => Drover("volume", "export", "nothing", folder.File("x")))).ExitCode);
        Assert.Equal(0, await Drover("volume", "import", "copy", file, "--node", "node2", "--size", "none"));
        Assert.Equal(_btrfs.Contents(Data, new(1)), _folders.Contents(new("copy"), new(1)));
        Assert.Contains("exists already", (await Assert.ThrowsAsync<CommandFailure>(() => Drover("volume", "import", "copy", file))).Message, StringComparison.Ordinal);
        await File.WriteAllBytesAsync(file, (await File.ReadAllBytesAsync(file))[..^7]);
        Assert.Contains("cut short", (await Assert.ThrowsAsync<CommandFailure>(() => Drover("volume", "import", "other", file, "--node", "node1"))).Message, StringComparison.Ordinal);
        await Untouched("other");
        Assert.Equal([file], Directory.EnumerateFiles(folder.Path));
    }

    [Fact]
    public async Task A_file_that_is_cut_damaged_or_no_file_leaves_nothing_and_its_name_free()
    {
        var file = await Exported();
        byte[] Flipped(int at) { var other = (byte[])file.Clone(); other[at] ^= 1; return other; }
        foreach (var (bad, why) in new (byte[], string)[]
        {
            (file[..5], "cut short"), (file[..400], "cut short"), (file[..(file.Length / 2)], "cut short"), (file[..^1], "cut short"), (file[..^40], "cut short"),
            (Flipped(2), "no file of"), (Flipped(file.Length / 2), "damaged"), (Flipped(file.Length - 1), "hash at its end"), ([.. file, 0], "follows the end"), ([], "cut short"),
        })
            foreach (var node in (string[])["node1", "node2"])
            {
                var refused = await _plane.Import("copy", bad, $"?node={node}&size=none");
                Assert.Equal(422, refused.Status);
                Assert.Contains(why, refused.Text, StringComparison.Ordinal);
                await Untouched("copy");
            }
        Assert.Equal(200, (await _plane.Import("copy", file, "?node=node2&size=none")).Status);
    }

    [Fact]
    public async Task A_file_made_by_one_who_means_harm_goes_the_way_that_a_stream_goes()
    {
        using var outside = new TemporaryFolder();
        await File.WriteAllTextAsync(outside.File("kept"), "as it was");
        foreach (var stream in (byte[][])
        [
            Encoding.UTF8.GetBytes("no stream at all"),
            await Forge.Stream(outside.Path, f => f.File("../up", "x")), await Forge.Stream(outside.Path, f => f.Link("out", outside.Path).File("out/new", "x")),
            await Forge.Stream(outside.Path, f => f.Link("out", outside.Path).Remove("out/kept")), (await Forge.Stream(outside.Path, f => f.File("a", "x")))[..^20],
        ])
        {
            var file = new MemoryStream();
            using (var writer = new VolumeFileWriter(file))
            {
                await writer.Begin(new(1, "x", "y", Samples.Moment, Samples.Moment, "tree-1", "zstd", 5, null), default);
                await writer.Block(stream, stream.Length, default);
                await writer.End(default);
            }
            foreach (var node in (string[])["node1", "node2"])
            {
                Assert.Equal(422, (await _plane.Import("copy", file.ToArray(), $"?node={node}")).Status);
                await Untouched("copy");
            }
        }
        Assert.Equal("kept", Path.GetFileName(Assert.Single(Directory.EnumerateFileSystemEntries(outside.Path))));
    }

    [Fact(Timeout = 120_000)]
    public async Task A_name_that_is_there_was_deleted_or_is_known_on_the_node_is_refused_and_what_lies_there_stays()
    {
        var file = await Exported();
        Assert.Equal(409, (await _plane.Import("data", file)).Status);
        // The export's own snapshot is still being dropped, and a volume has one operation at a time.
        while (await Deleted() is false) await Task.Yield();
        async Task<bool> Deleted() { using var answer = await _plane.Http.DeleteAsync("/api/v1/volumes/data", TestContext.Current.CancellationToken); return answer.StatusCode != System.Net.HttpStatusCode.Conflict; }
        Assert.Contains("undelete", (await _plane.Import("data", file)).Text, StringComparison.Ordinal);
        Assert.Equal(422, (await _plane.Import("..%5cx", file)).Status);
        Assert.Equal(422, (await _plane.Import("sized", file, "?node=node2")).Status);
        Assert.True((await _folders.Driver.CreateEmpty(new("trace"), new(1), default)).Ok);
        await File.WriteAllTextAsync(Path.Combine(_folders.Pool, "volumes", "trace", "live", "1", "row"), "somebody's");
        var known = await _plane.Import("trace", file, "?node=node2&size=none");
        Assert.Equal(422, known.Status);
        Assert.Contains("is known here", known.Text, StringComparison.Ordinal);
        Assert.False(_plane.Cluster.Current.Volumes.ContainsKey(new("trace")));
        Assert.Equal("somebody's", await File.ReadAllTextAsync(Path.Combine(_folders.Pool, "volumes", "trace", "live", "1", "row")));
    }

    [Fact]
    public async Task A_sender_that_goes_away_half_way_leaves_nothing()
    {
        var file = await Exported();
        using var gone = new CancellationTokenSource();
        var sending = _plane.Http.PostAsync("/api/v1/volumes/copy/import?node=node1", new StreamContent(new HalfStream(file, gone)), gone.Token);
        await Assert.ThrowsAnyAsync<Exception>(() => sending);
        await _plane.Until(s => !s.Volumes.ContainsKey(new("copy")) && s.Operations.Values.Any(o => o.Volume.Value == "copy" && o.Stage == VolumeStage.Failed));
        await Untouched("copy");
    }

    [Fact]
    public async Task A_stream_is_for_the_node_that_was_asked_and_good_once()
    {
        Assert.Equal(202, (await _plane.Post("/api/v1/volumes/data/snapshots", new StringContent("""{"name":"kept"}"""))).Status);
        await _plane.Until(s => s.Volumes[Data].Snapshots.Count == 1);
        var second = new TaskCompletionSource();
        _node1.Gate = second.Task;
        var exporting = Exported("?snapshot=kept");
        var stream = await _node1.Asked.Reader.ReadAsync();
        var foreign = await Assert.ThrowsAsync<RpcException>(() => _node2.Streams.Pour(stream, to => to.WriteAsync(new byte[9]).AsTask(), default));
        Assert.Equal(StatusCode.PermissionDenied, foreign.StatusCode);
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(() => _node2.Streams.Draw("no such", from => from.ReadAsync(new byte[1]).AsTask(), default).WaitAsync(TestCluster.Patience))).StatusCode);
        Assert.Contains(await _plane.Audit.Tail(20, default), e => e.Who == "node2" && e.Outcome == "refused");
        second.SetResult();
        await Whole(await exporting);
        var late = await Assert.ThrowsAsync<RpcException>(() => _node1.Streams.Pour(stream, to => to.WriteAsync(new byte[9]).AsTask(), default));
        Assert.Equal(StatusCode.NotFound, late.StatusCode);
    }

    /// <summary>Gives half, then its reader's connection is cut.</summary>
    private sealed class HalfStream(byte[] file, CancellationTokenSource cut) : Stream
    {
        private int _at;
        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
        public override void Flush() { }
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_at >= file.Length / 2)
            {
                await cut.CancelAsync();
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cut.Token);
            }
            var count = Math.Min(buffer.Length, (file.Length / 2) - _at);
            file.AsSpan(_at, count).CopyTo(buffer.Span);
            _at += count;
            return count;
        }
    }
}
