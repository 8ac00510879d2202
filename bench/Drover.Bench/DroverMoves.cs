using System.Diagnostics;
using System.Text.Json;
using Drover.Contracts.Api;

namespace Drover.Bench;

/// <summary>The product, through its API, as anyone would.</summary>
internal sealed class DroverMoves(Lab lab, Action<string> say)
{
    /// <param name="own">The container's own stop and start on one node, from the by-hand run of the same workload.</param>
    public async Task<Run> Measure(Workload workload, int moves, double own)
    {
        const string app = "bench";
        var volume = $"bench{workload.Name}{workload.Bytes >> 20}";
        var errors = new List<string>();
        var cutovers = new List<double>();
        var at = "node1";
        await lab.Deploy(workload.App(app, volume, at));
        await lab.Serving(app);
        if (workload is Postgres postgres) await postgres.Fill(lab[at].Address);
        await using var load = workload.Load(() => lab[at].Address);
        await Task.Delay(3000);
        await using var memory = new MemoryWatch(await lab.Agents());

        async Task<MoveView?> Move(string to, Func<MoveView, Task>? each = null, bool counted = true)
        {
            try
            {
                var done = await lab.Move(app, to, each);
                at = to;
                if (counted && done.Waterfall?.CutoverMs is { } cutover) cutovers.Add(cutover);
                say($"drover {workload.Name} {Bars.Size(Empty(workload))}: to {to}, cutover {done.Waterfall?.CutoverMs:0} ms, by its own count {done.Waterfall?.AddedCutoverMs:0} ms added, sent {done.BytesSent >> 20} MiB in {done.Rounds.Count} rounds;{string.Concat(done.Waterfall?.Spans.Select(s => $" {s.Name} {s.Ms:0}") ?? [])}");
                await Task.Delay(3000);
                return done;
            }
            catch (BenchFailed e) { errors.Add(e.Message); say(e.Message); return null; }
        }

        var seeded = (await Move("node2"))?.Rounds[0];
        var resent = await Cut(seeded?.Bytes ?? 0, each => Move("node3", each, counted: false));
        for (var i = 0; i < moves - 1; i++) await Move(i % 2 == 0 ? "node2" : "node3");
        var run = new Run("drover", workload.Name, workload.Bytes, cutovers.Count, Spread.Of(cutovers), Spread.Of(cutovers.Select(c => c - own)), Spread.Of([own]),
            seeded is null ? null : (long)(seeded.Bytes / seeded.SendMs * 1000), seeded?.Bytes, resent, memory.Peak, errors);
        await lab.Delete(app);
        return run;
    }

    private static Run Empty(Workload workload) => new("", workload.Name, workload.Bytes, 0, null, null, null, null, null, null, null, []);

    /// <summary>Resets the connection when 90 % of the first round have been sent.</summary>
    private async Task<long?> Cut(long expected, Func<Func<MoveView, Task>, Task<MoveView?>> move)
    {
        var cut = false;
        var before = await Sent();
        var done = await move(async now =>
        {
            if (cut || now.Progress is not { Round: 1 } progress || progress.Bytes < expected * 0.9) return;
            cut = true;
            await lab[now.From].CutTransfers(TimeSpan.FromMilliseconds(300));
        });
        if (!cut) say("the cut came too late: the copy was done before");
        // Counted on the wire, and so with the headers of TCP and TLS: what is more than the streams' bytes.
        return done is null || !cut ? null : Math.Max(0, await Sent() - before - done.BytesSent);

        async Task<long> Sent()
        {
            using var links = JsonDocument.Parse(await lab["node2"].Run("ip", "-s", "-j", "link", "show"));
            return links.RootElement.EnumerateArray().Where(l => l.GetProperty("ifname").GetString() == "eth0").Sum(l => l.GetProperty("stats64").GetProperty("tx").GetProperty("bytes").GetInt64());
        }
    }

    /// <summary>Some volumes with an idle app each: taken from one node one after the other, then all at once.</summary>
    public async Task<Drain> Drain(int volumes, long bytes, string script)
    {
        for (var i = 0; i < volumes; i++) await lab.Deploy(new Writer(bytes, script, 8100 + i, Idle: true).App($"drain{i}", $"drain{i}", "node1"));
        for (var i = 0; i < volumes; i++) await lab.Serving($"drain{i}");
        var began = Stopwatch.GetTimestamp();
        for (var i = 0; i < volumes; i++) await lab.Move($"drain{i}", "node2");
        var serial = Host.Milliseconds(began);
        // To a third machine, which has nothing of them either: the same bytes go, four at a time.
        for (var i = 0; i < volumes; i++) await lab.Send(HttpMethod.Put, $"/v2/apps/drain{i}", new Writer(bytes, script, 8100 + i, Idle: true).App($"drain{i}", $"drain{i}", "node2").Replace("[[\"hostname\", \"CLUSTER\", \"node2\"]]", "[[\"hostname\", \"LIKE\", \"node[23]\"]]", StringComparison.Ordinal));
        for (var i = 0; i < volumes; i++) await lab.Serving($"drain{i}");
        began = Stopwatch.GetTimestamp();
        await lab.Send(HttpMethod.Post, "/api/v1/nodes/node2/drain", "{}");
        await lab.Until("node2 to be empty", TimeSpan.FromMinutes(10), async () => (await lab.Get("/api/v1/volumes", ApiJson.Default.VolumesView)).Volumes.Count(v => v.Name.StartsWith("drain", StringComparison.Ordinal) && v.Primary == "node3" && v.Move is null) == volumes);
        var drained = Host.Milliseconds(began);
        say($"drain of {volumes}: {drained:0} ms, one after the other {serial:0} ms");
        for (var i = 0; i < volumes; i++) await lab.Delete($"drain{i}");
        await lab.Send(HttpMethod.Post, "/api/v1/nodes/node2/uncordon", "{}");
        return new(volumes, bytes, serial, drained);
    }
}
