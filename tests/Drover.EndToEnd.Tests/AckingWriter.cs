using Drover.Contracts.Api;
using Drover.Faults.History;
using Xunit;
using static Drover.EndToEnd.Tests.LabFixture;

namespace Drover.EndToEnd.Tests;

/// <summary>The writer of the fault table: what it acknowledges stands in a file outside of its volume, with when it had the volume open.</summary>
public sealed class AckingWriter(LabFixture lab, string app, string data) : IDisposable
{
    private readonly string _out = Directory.CreateTempSubdirectory("drover-e2e-").FullName;

    public async Task Deploy()
    {
        File.Copy(Path.Combine(AppContext.BaseDirectory, "writer.pl"), Path.Combine(_out, "writer.pl"), overwrite: true);
        await lab.Deploy($$"""
            {"id": "{{app}}", "cmd": "exec perl /out/writer.pl /data /out", "cpus": 0.1, "mem": 64, "backoffSeconds": 0.1, "backoffFactor": 1.0, "maxLaunchDelaySeconds": 1,
             "container": {"type": "DOCKER", "docker": {"image": "postgres:15", "network": "NONE"},
               "volumes": [{"containerPath": "/data", "hostPath": "/flocker/{{data}}", "mode": "RW"}, {"containerPath": "/out", "hostPath": "{{_out}}", "mode": "RW"}]} }
            """);
        await More();
    }

    public WriterLog Log() => WriterLog.Read(Path.Combine(_out, "acks"));

    /// <summary>Returns when more was acknowledged: it writes.</summary>
    public async Task More(int writes = 20)
    {
        var before = Log().Acks.Count;
        await Until($"{app} to write", () => Task.FromResult(Log().Acks.Count >= before + writes));
    }

    /// <summary>Every acknowledged write is in the live data, once and in order, and no two runs had it open at one time. Where it is.</summary>
    public async Task<string> Judge()
    {
        // First what was promised, then what is there: what comes in between is more, never less.
        var log = Log();
        var volume = await lab.Volume(data);
        var records = await On(volume.Primary!, "cat", $"{PoolOf(volume.Primary!)}/volumes/{data}/live/{volume.Epoch}/records");
        Assert.Equal(new HistoryVerdict(0, 0, 0), HistoryChecker.Check(log.Acks, records.Split('\n', StringSplitOptions.RemoveEmptyEntries)));
        Assert.Empty(HistoryChecker.Together(log.Opens));
        return volume.Primary!;
    }

    public async Task<MoveView> MoveTo(string node)
    {
        var move = await lab.Ended((await lab.Begin(new MoveRequest(app, node, null, false, 0))).Id);
        Assert.Equal("Done", move.State);
        return move;
    }

    /// <summary>Nothing of it runs there, and its volume is not mounted.</summary>
    public async Task IsNotOn(string node)
    {
        Assert.Equal("", (await On(node, "docker", "ps", "-q", "--filter", $"label=drover.app={app}")).Trim());
        Assert.DoesNotContain($"/flocker/{data}", await On(node, "cat", "/proc/self/mountinfo"), StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_out, recursive: true);
}
