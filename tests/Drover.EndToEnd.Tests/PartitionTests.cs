using System.Globalization;
using Drover.Contracts.Api;
using Xunit;
using static Drover.EndToEnd.Tests.LabFixture;

namespace Drover.EndToEnd.Tests;

/// <summary>A machine that nobody reaches: it runs on until its guard ends it, and only then another takes its place.</summary>
[Trait("needs", "root")]
public sealed class PartitionTests(LabFixture lab) : IAsyncLifetime
{
    private const string App = "/partition", Data = "partitiondata";
    private string _old = "", _next = "";

    public async ValueTask InitializeAsync()
    {
        await lab.Deploy($$"""
            {"id": "{{App}}", "cmd": "echo start $(date +%s.%N) >> /data/log; while :; do echo write $(date +%s.%N) >> /data/log; sync /data/log; sleep 0.05; done", "cpus": 0.1, "mem": 64,
             "container": {"type": "DOCKER", "docker": {"image": "postgres:15", "network": "BRIDGE"}, "volumes": [{"containerPath": "/data", "hostPath": "/flocker/{{Data}}", "mode": "RW"}]} }
            """);
        await lab.Serving(App);
        // A move leaves a standby behind.
        _next = (await lab.Volume(Data)).Primary!;
        _old = _next == Node1 ? Node2 : Node1;
        var move = await lab.Ended((await lab.Begin(new MoveRequest(App, _old, null, false, 0))).Id);
        Assert.Equal("Done", move.State);
        await lab.Serving(App);
    }

    public async ValueTask DisposeAsync()
    {
        await Tool("lab", "kill", "--name", Name, _old, "agent", "--signal", "18");
        await Tool("lab", "heal", "--name", Name, _old);
        await lab.Delete(App);
    }

    [Fact]
    public async Task The_old_primary_runs_on_until_its_guard_ends_it_and_only_then_the_standby_is_promoted_and_nothing_written_is_thrown_away()
    {
        // The agent cannot help: only the guard is left.
        (await Tool("lab", "kill", "--name", Name, _old, "agent", "--signal", "19")).Must();
        (await Tool("lab", "partition", "--name", Name, _old)).Must();
        await Until($"{_old} to be away", async () => (await lab.Status()).NodesConnected == 1);

        var early = await Control("volume", "promote", Data, "--to", _next, "--accept-loss", "--no-wait");
        Assert.Equal(1, early.ExitCode);
        Assert.Contains("its lease has not ended", early.Error, StringComparison.Ordinal);
        var before = await LastWrite();
        await Until("the old primary to write on", async () => await LastWrite() > before);

        (await Control("volume", "promote", Data, "--to", _next, "--accept-loss")).Must();
        var last = await LastWrite();
        Assert.Equal("", (await On(_old, "docker", "ps", "-q", "--filter", $"label=drover.app={App}")).Trim());
        await lab.Serving(App);
        var log = await On(_next, "cat", $"/flocker/{Data}/log");
        var begun = Moment(log.Split('\n').Last(l => l.StartsWith("start ", StringComparison.Ordinal)));
        Assert.True(last < begun, $"{_old} wrote at {last}, {_next} since {begun}");

        (await Tool("lab", "heal", "--name", Name, _old)).Must();
        (await Tool("lab", "kill", "--name", Name, _old, "agent", "--signal", "18")).Must();
        VolumeView? volume = null;
        await Until("the old primary to keep its fork", async () => (volume = await lab.Volume(Data)).Forks.Any(f => f.Kept) && volume.Standbys.Any(s => s.Node == _old));
        Assert.Equal(_next, volume!.Primary);
        var fork = Assert.Single(volume.Forks);
        Assert.Equal(last, Moment(await On(_old, "tail", "-1", $"/var/lib/drover-lab/{Name}/{_old}/pool/volumes/{Data}/snapshots/{fork.Snapshot}/data/log")));
    }

    /// <summary>As the old primary's disk says, through its own mounts.</summary>
    private async Task<decimal> LastWrite()
    {
        var epoch = (await On(_old, "sh", "-c", $"ls /var/lib/drover-lab/{Name}/{_old}/pool/volumes/{Data}/live | sort -n | tail -1")).Trim();
        return Moment(await On(_old, "tail", "-1", $"/var/lib/drover-lab/{Name}/{_old}/pool/volumes/{Data}/live/{epoch}/log"));
    }

    private static decimal Moment(string line) => decimal.Parse(line.Trim().Split(' ')[^1], CultureInfo.InvariantCulture);
}
