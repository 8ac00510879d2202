using Drover.ControlPlane.Access;
using Drover.ControlPlane.Store;
using Drover.ControlPlane.Store.InMemory;
using Drover.Core.Trust;
using Drover.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Drover.ControlPlane.Tests.Access;

public sealed class AuditLogTests : IAsyncLifetime
{
    private readonly TemporaryFolder _temporary = new();
    private readonly FakeTimeProvider _time = new(Samples.Moment);
    private InMemoryStore _store = null!;

    private DataFolder Folder => DataFolder.Share(_temporary.Path);

    public ValueTask InitializeAsync()
    {
        _store = new InMemoryStore(_time);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        _temporary.Dispose();
    }

    private async Task<AuditVerdict> Verdict()
    {
        using var log = await AuditLog.Open(Folder, _store, _time);
        return await log.Verify(default);
    }

    private async Task Write(params string[] what)
    {
        using var log = await AuditLog.Open(Folder, _store, _time);
        foreach (var one in what) await log.Add("ann", "admin", "10.0.0.9", one, "200", "");
    }

    private Task<StoredEntry?> Remembered() => _store.Get("trust/audit", default);

    [Fact]
    public async Task It_goes_on_where_it_was_and_only_root_reads_it()
    {
        await Write("one", "two");
        await Write("three");
        Assert.Equal((null, 3L), ((await Verdict()).Fault, (await Verdict()).Lines));
        Assert.Equal(DataFolder.Secret, File.GetUnixFileMode(Folder.Audit));
        using var log = await AuditLog.Open(Folder, _store, _time);
        Assert.Equal(["two", "three"], (await log.Tail(2, default)).Select(e => e.What));
    }

    [Theory]
    [InlineData("{\"sequence\":3,\"at\":\"20")]
    [InlineData("{")]
    public async Task A_line_that_a_crash_tore_is_taken_off(string torn)
    {
        await Write("one", "two");
        await File.AppendAllTextAsync(Folder.Audit, torn);
        await Write("three");
        Assert.Equal((null, 3L), ((await Verdict()).Fault, (await Verdict()).Lines));
    }

    [Fact]
    public async Task A_whole_line_that_the_store_had_not_heard_of_before_a_crash_counts()
    {
        await Write("one");
        var before = await Remembered();
        await Write("two");
        await _store.Commit([new("trust/audit", before!.Value, null)], default);
        await Write("three");
        Assert.Equal((null, 3L), ((await Verdict()).Fault, (await Verdict()).Lines));
    }

    [Fact]
    public async Task A_tail_that_was_cut_off_is_noticed_also_after_more_was_written()
    {
        await Write("one", "two", "three");
        await File.WriteAllLinesAsync(Folder.Audit, (await File.ReadAllLinesAsync(Folder.Audit))[..1]);
        var verdict = await Verdict();
        Assert.Equal(2, verdict.Line);
        Assert.Contains("2 were cut off the end", verdict.Fault, StringComparison.Ordinal);
        await Write("four");
        verdict = await Verdict();
        Assert.Equal(2, verdict.Line);
        Assert.Contains("is entry 4", verdict.Fault, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_log_that_was_deleted_is_noticed()
    {
        await Write("one", "two");
        File.Delete(Folder.Audit);
        Assert.Contains("2 were cut off", (await Verdict()).Fault, StringComparison.Ordinal);
    }

    private const long Small = 600;

    /// <summary>Entries, each of its own start, on files of some two entries each.</summary>
    private async Task WriteSmall(int from, int to)
    {
        for (var i = from; i <= to; i++)
        {
            using var log = await AuditLog.Open(Folder, _store, _time, Small);
            await log.Add("ann", "admin", "10.0.0.9", $"change {i}", "200", "");
        }
    }

    private string[] Files() => [.. AuditSegments.InOrder(Directory.GetFiles(_temporary.Path).Select(f => Path.GetFileName(f)))];

    [Fact]
    public async Task A_file_that_has_grown_is_put_by_and_the_chain_goes_on_in_the_next()
    {
        await WriteSmall(1, 9);
        var files = Files();
        Assert.True(files.Length >= 3);
        Assert.Equal(AuditSegments.Current, files[^1]);
        var segments = files.Select(f => File.ReadAllLines(_temporary.File(f)).Select(l => AuditChain.Read(l)!.Value).ToArray()).ToArray();
        foreach (var (before, after) in segments.Zip(segments.Skip(1))) Assert.Equal(before[^1].Hash, after[0].Entry.Previous);
        Assert.All(segments.SkipLast(1).Zip(files), s => Assert.Equal(AuditSegments.NameOf(s.First[^1].Entry.Sequence), s.Second));
        Assert.All(files, f => Assert.Equal(DataFolder.Secret, File.GetUnixFileMode(_temporary.File(f))));
        Assert.Equal((null, 9L), ((await Verdict()).Fault, (await Verdict()).Lines));
        using var log = await AuditLog.Open(Folder, _store, _time, Small);
        Assert.Equal(Enumerable.Range(3, 7).Select(i => $"change {i}"), (await log.Tail(7, default)).Select(e => e.What));
        Assert.Equal(9, (await log.Tail(100, default)).Count);
    }

    [Fact]
    public async Task What_was_put_by_is_verified_too_and_the_file_is_named()
    {
        await WriteSmall(1, 9);
        var (first, second) = (_temporary.File(Files()[0]), _temporary.File(Files()[1]));
        var lines = await File.ReadAllLinesAsync(second);
        await File.WriteAllLinesAsync(second, [lines[0].Replace("change", "nothing", StringComparison.Ordinal), .. lines[1..]]);
        var verdict = await Verdict();
        var before = (await File.ReadAllLinesAsync(first)).Length;
        Assert.Equal((Path.GetFileName(second), 1L, before + 1L, (long)before), (verdict.File, verdict.LineOfFile, verdict.Line, verdict.Lines));
        File.Delete(second);
        verdict = await Verdict();
        Assert.Contains($"{lines.Length} before it were removed", verdict.Fault, StringComparison.Ordinal);
        Assert.Equal((Files()[1], 1L), (verdict.File, verdict.LineOfFile));
    }

    [Fact]
    public async Task A_newest_file_that_was_taken_away_is_noticed_also_after_more_was_written()
    {
        await WriteSmall(1, 9);
        var gone = (await File.ReadAllLinesAsync(Folder.Audit)).Length;
        File.Delete(Folder.Audit);
        var verdict = await Verdict();
        Assert.Contains($"{gone} were cut off the end", verdict.Fault, StringComparison.Ordinal);
        Assert.Equal((AuditSegments.Current, 1L), (verdict.File, verdict.LineOfFile));
        await WriteSmall(10, 10);
        Assert.Contains("is entry 10", (await Verdict()).Fault, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_line_that_the_store_had_not_heard_of_counts_also_when_its_file_was_put_by()
    {
        await WriteSmall(1, 2);
        var before = await Remembered();
        await WriteSmall(3, 3);
        await _store.Commit([new("trust/audit", before!.Value, null)], default);
        File.Move(Folder.Audit, _temporary.File(AuditSegments.NameOf(3)));
        await WriteSmall(4, 4);
        Assert.Equal((null, 4L), ((await Verdict()).Fault, (await Verdict()).Lines));
    }

    [Fact]
    public async Task A_start_reads_the_end_only()
    {
        await WriteSmall(1, 9);
        // One that cannot be read, and one whose whole would be more than any array holds.
        var old = _temporary.File(Files()[0]);
        File.Delete(old);
        Directory.CreateDirectory(old);
        var lines = await File.ReadAllBytesAsync(Folder.Audit);
        await using (var file = File.OpenWrite(Folder.Audit))
        {
            file.SetLength(3L << 30);
            file.Seek(0, SeekOrigin.End);
            file.Write([(byte)'\n', .. lines]);
        }
        using var log = await AuditLog.Open(Folder, _store, _time);
        Assert.Equal("change 9", Assert.Single(await log.Tail(1, default)).What);
        await log.Add("ann", "admin", "", "change 10", "200", "");
        Assert.Equal("10", (await log.Tail(1, default))[0].Sequence.ToString(System.Globalization.CultureInfo.InvariantCulture));
        Assert.True(new FileInfo(Folder.Audit).Length < 10_000, "what had grown was put by");
    }

    [Fact]
    public async Task Whoever_knocks_without_end_does_not_fill_the_disk_and_is_counted()
    {
        using var log = await AuditLog.Open(Folder, _store, _time);
        for (var i = 0; i < AuditLog.RefusalsAMinute * 3; i++) await log.Refused("-", "stranger", "10.9.9.9", "identity refused", "forged");
        Assert.Equal(AuditLog.RefusalsAMinute, (await log.Verify(default)).Lines);
        await log.Add("ann", "admin", "", "POST /v2/apps", "201", "");
        _time.Advance(TimeSpan.FromMinutes(1));
        await log.Refused("-", "stranger", "10.9.9.9", "identity refused", "forged");
        var last = await log.Tail(3, default);
        Assert.StartsWith($"{AuditLog.RefusalsAMinute * 2} more refusals", last[0].Detail, StringComparison.Ordinal);
        Assert.Equal(["POST /v2/apps", "identity refused"], last.Skip(1).Select(e => e.What));
    }
}
