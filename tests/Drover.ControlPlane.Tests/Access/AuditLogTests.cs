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
