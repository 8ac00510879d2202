using Drover.Agent.Containers;
using Drover.Agent.Reconcile;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Testing;
using Drover.Testing.Agents;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Drover.Platform.Tests.Volumes;

/// <summary>Steps of volumes' life on a real btrfs.</summary>
[Collection("pools")]
[Trait("needs", "root")]
public sealed class VolumeLifeTests : IAsyncLifetime
{
    private static readonly VolumeName Data = new("data"), Copy = new("copy");
    private readonly ToldObservations _told = new();
    private readonly TemporaryFolder _folder = new();
    private LoopPool _pool = null!;
    private int _steps;

    public async ValueTask InitializeAsync()
    {
        _pool = await LoopPool.Make();
        await _pool.Driver.Recover(default);
        Assert.True((await _pool.Driver.CreateEmpty(Data, new(1), default)).Ok);
        Assert.True((await _pool.Driver.Mount(Data, new(1), default)).Ok);
        _pool.Write(Data, "row", "old"u8.ToArray());
    }

    public async ValueTask DisposeAsync()
    {
        await _pool.DisposeAsync();
        _folder.Dispose();
    }

    /// <summary>Each step by an agent that has just started.</summary>
    private async Task<StepResult> Do(Step step)
    {
        await _pool.Restart();
        await _pool.Driver.Recover(default);
        var runtime = new FakeContainerRuntime(new FakeTimeProvider());
        var work = new VolumeWork(new Orders(new Ledger(_folder.File("state")), NullLogger<Orders>.Instance), new NodeBook(runtime, _pool.Driver), _pool.Driver, new KeyedLocks(), _told);
        step.StepId = $"s{_steps++}";
        return await work.Do(step, static _ => { }, default)!;
    }

    private static Step Take(string name, string needs = "") => new() { TakeSnapshot = new() { Name = "data", Epoch = 1, Snapshot = name, Needs = needs } };

    private static byte[] Noise(int seed)
    {
        var bytes = new byte[4 << 20];
        var chance = new SeededChance(seed);
        for (var at = 0; at < bytes.Length; at += 16) chance.NewGuid().TryWriteBytes(bytes.AsSpan(at));
        return bytes;
    }

    private static Step Back => new() { MakeVolume = new() { Name = "data", Epoch = 2, Source = "data", Snapshot = "s-good" } };

    [Fact]
    public async Task Snapshot_and_restore_with_each_step_repeated_by_a_new_agent()
    {
        await Do(Take("s-good"));
        _pool.Write(Data, "row", "new"u8.ToArray());
        Assert.True((await _pool.Driver.Unmount(Data, default)).Ok);
        await Do(Take("s-before", "s-good"));
        await Do(Take("s-before", "s-good"));
        await Do(Back);
        await Do(Back);
        Assert.True((await _pool.Driver.Mount(Data, new(2), default)).Ok);
        Assert.Equal("old", await File.ReadAllTextAsync(Path.Combine(_pool.MountRoot, "data", "row")));
        Assert.Contains((await _pool.Driver.Inspect(Data, default))!.Snapshots, s => s.Name.Value == "s-before");
        // An order of before the restore finds a closed door.
        Assert.Equal(StepErrorKind.Refused, (await Assert.ThrowsAsync<StepFailed>(() => Do(Take("s-late")))).Kind);
    }

    [Fact]
    public async Task A_clone_lives_on_when_its_source_is_purged()
    {
        await Do(Take("s-good"));
        await Do(new Step { MakeVolume = new() { Name = "copy", Epoch = 1, Source = "data", Snapshot = "s-good" } });
        await Do(new Step { MakeVolume = new() { Name = "copy", Epoch = 1, Source = "data", Snapshot = "s-good" } });
        await Do(new Step { DropData = new() { Name = "data", Epoch = 1, Whole = true } });
        Assert.Null(await _pool.Driver.Inspect(Data, default));
        Assert.True((await _pool.Driver.Mount(Copy, new(1), default)).Ok);
        Assert.Equal("old", await File.ReadAllTextAsync(Path.Combine(_pool.MountRoot, "copy", "row")));
        _pool.Write(Copy, "row", "its own"u8.ToArray());
        await Do(new Step { DropData = new() { Name = "data", Epoch = 1, Whole = true } });
    }

    [Fact]
    public async Task A_size_holds_while_it_is_in_use_or_is_refused_before_anything_is_made()
    {
        if (!_pool.Driver.Abilities.Quotas)
        {
            var sized = new Step { MakeVolume = new() { Name = "copy", Epoch = 1, SizeBytes = 8 << 20 } };
            Assert.Contains("cannot limit", (await Assert.ThrowsAsync<StepFailed>(() => Do(sized))).Message, StringComparison.Ordinal);
            Assert.Null(await _pool.Driver.Inspect(Copy, default));
            return;
        }
        await Do(new Step { ResizeVolume = new() { Name = "data", Epoch = 1, SizeBytes = 8 << 20 } });
        Assert.Throws<IOException>(() => { for (var i = 0; i < 8; i++) _pool.Write(Data, $"big{i}", Noise(i)); });
        await Do(new Step { ResizeVolume = new() { Name = "data", Epoch = 1, SizeBytes = 0 } });
    }

    [Fact]
    public async Task A_size_holds_for_the_live_data_of_the_next_epoch_also_where_counting_was_off()
    {
        var driver = _pool.Driver;
        _pool.Write(Data, "big", Noise(1));
        Done(await driver.Snapshot(Data, new("moved"), new(1), default));
        Done(await driver.Promote(Data, new("moved"), new(2), default));
        Done(await driver.Carry(Data, new(8 << 20), new(2), default));
        Assert.Equal(new ByteCount(8 << 20), (await driver.Inspect(Data, default))!.Limit);
        Done(await driver.Mount(Data, new(2), default));
        Assert.Throws<IOException>(() => { for (var i = 0; i < 8; i++) _pool.Write(Data, $"more{i}", Noise(i)); });
        await driver.Sync(default);
        // Full, and it goes on as it is: an app that waited for its size to fit would wait for ever.
        Done(await driver.Snapshot(Data, new("full"), new(2), default));
        Done(await driver.Promote(Data, new("full"), new(3), default));
        Assert.Equal(VolumeOutcomeKind.Conflict, (await driver.Resize(Data, new(1 << 20), new(3), default)).Kind);
        Done(await driver.Carry(Data, new(1 << 20), new(3), default));
        Done(await driver.Mount(Data, new(3), default));
        Assert.Throws<IOException>(() => { _pool.Write(Data, "another", Noise(9)); });
        // A full volume is made larger, and then free.
        Done(await driver.Resize(Data, new(64 << 20), new(3), default));
        _pool.Write(Data, "another", Noise(9));
        Done(await driver.Carry(Data, null, new(3), default));
        _pool.Write(Data, "another", Noise(9));
    }

    [Fact]
    public async Task What_live_data_does_not_share_with_its_base_is_what_was_written_since()
    {
        async Task<double> Changed(string snapshot)
        {
            await _pool.Driver.Sync(default);
            return (await _pool.Btrfs.ChangedSince(Data, new(snapshot), default))!.Value.Bytes / 1048576d;
        }
        _pool.Write(Data, "big", Noise(1));
        Done(await _pool.Driver.Snapshot(Data, new("base"), new(1), default));
        Assert.Equal(0, await Changed("base"));
        _pool.Write(Data, "more", Noise(2));
        Assert.InRange(await Changed("base"), 4, 4.1);
        _pool.Write(Data, "big", Noise(3));
        Assert.InRange(await Changed("base"), 8, 8.1);
        // Of live data of another epoch, too.
        Done(await _pool.Driver.Snapshot(Data, new("next"), new(1), default));
        Done(await _pool.Driver.Promote(Data, new("next"), new(2), default));
        Done(await _pool.Driver.Mount(Data, new(2), default));
        Assert.Equal(0, await Changed("next"));
        Assert.InRange(await Changed("base"), 8, 8.1);
        _pool.Write(Data, "again", Noise(4));
        Assert.InRange(await Changed("next"), 4, 4.1);
        Assert.Null(await _pool.Btrfs.ChangedSince(Data, new("none"), default));
    }

    private static void Done(VolumeOutcome outcome) => Assert.True(outcome.Ok, outcome.Message);
}
