using System.Diagnostics;
using Drover.Agent.Volumes;
using Drover.Core;
using Drover.Core.Volumes;
using Xunit;

#pragma warning disable RS0030 // these tests start the writer's process

namespace Drover.Platform.Tests.Volumes;

/// <summary>The law of a freeze: who cannot run cannot write, so its open files do not keep the data from being sealed, and nothing of it is missing in the snapshot.</summary>
[Collection("pools")]
[Trait("needs", "root")]
public sealed class FrozenWriterTests : IAsyncLifetime
{
    private static readonly CancellationToken None = CancellationToken.None;
    private static readonly VolumeName Data = new("data");
    private static readonly Epoch One = new(1);

    private readonly FreezerGroup _group = new();
    private LoopPool _pool = null!;

    public async ValueTask InitializeAsync()
    {
        _pool = await LoopPool.Make();
        await _pool.Driver.Recover(None);
    }

    public async ValueTask DisposeAsync()
    {
        _group.Dispose();
        await _pool.DisposeAsync();
    }

    [Fact]
    public async Task A_writer_that_runs_keeps_its_data_unsealed_and_one_that_is_frozen_does_not()
    {
        var driver = _pool.Driver;
        await driver.CreateEmpty(Data, One, None);
        await driver.Mount(Data, One, None);
        var file = Path.Combine((await driver.Inspect(Data, None))!.MountPath, "log");
        _group.Start($"exec 3>>{file}; while :; do echo line >&3; done");
        while (!File.Exists(file) || new FileInfo(file).Length == 0) await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, None);

        Assert.Equal(VolumeOutcomeKind.Busy, (await driver.Seal(Data, true, One, None)).Kind);
        _group.Freeze();
        Assert.Equal(VolumeOutcome.Done, await driver.Seal(Data, true, One, None));
        var length = new FileInfo(file).Length;
        Assert.True((await driver.Snapshot(Data, new("m1-f"), One, None)).Ok);
        Assert.Equal(length, new FileInfo(file).Length);

        // An undo: unsealed first, then thawed; the file it had open all along takes its lines again.
        Assert.Equal(VolumeOutcome.Done, await driver.Seal(Data, false, One, None));
        _group.Thaw();
        while (new FileInfo(file).Length <= length) await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, None);
        Assert.Equal(VolumeOutcomeKind.Busy, (await driver.Seal(Data, true, One, None)).Kind);
    }

    /// <summary>A control group of the first or the second version, with one process in it.</summary>
    private sealed class FreezerGroup : IDisposable
    {
        private const string Freezer = "/sys/fs/cgroup/freezer";
        private readonly string _folder = Path.Combine(Directory.Exists(Freezer) ? Freezer : "/sys/fs/cgroup", $"drover-test-{Environment.ProcessId}");
        private Process? _writer;

        public void Start(string script)
        {
            Directory.CreateDirectory(_folder);
            // It enters the group itself: it has written nothing before it is in it.
            _writer = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", $"echo $$ > {_folder}/cgroup.procs; {script}"]))!;
        }

        public void Freeze() => Set(frozen: true);

        public void Thaw() => Set(frozen: false);

        public void Dispose()
        {
            if (_writer is null) return;
            Thaw();
            _writer.Kill();
            _writer.WaitForExit();
            _writer.Dispose();
            for (var looks = 0; looks < 100 && File.ReadAllText($"{_folder}/cgroup.procs").Length > 0; looks++) Thread.Sleep(10);
            Directory.Delete(_folder);
        }

        private void Set(bool frozen)
        {
            var (file, word, events, wanted) = Directory.Exists(Freezer)
                ? ("freezer.state", frozen ? "FROZEN" : "THAWED", "freezer.state", frozen ? "FROZEN" : "THAWED")
                : ("cgroup.freeze", frozen ? "1" : "0", "cgroup.events", frozen ? "frozen 1" : "frozen 0");
            File.WriteAllText($"{_folder}/{file}", word);
            while (!File.ReadAllText($"{_folder}/{events}").Contains(wanted, StringComparison.Ordinal)) Thread.Sleep(5);
        }
    }
}
