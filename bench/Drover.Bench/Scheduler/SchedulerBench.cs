using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Drover.Bench.Scheduler;

/// <summary>./bench.sh scheduler: simulated agents, a real control plane on its real store.</summary>
internal static class SchedulerBench
{
    public const string Usage = "./bench.sh scheduler [--agents 100,1000,5000] [--instances N] [--apps 1000] [--seconds 20] [--quick] [--strict]";
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(4);

    private sealed record Wish(int[] Agents, int? Instances, int Apps, int Seconds, bool Strict);

    public static async Task<int> Run(string[] args, string root, Action<string> say)
    {
        if (Read(args) is not { } wish)
        {
            Console.Error.WriteLine($"usage: {Usage}");
            return 2;
        }
        var folder = Path.Combine(root, "artifacts/bench");
        var program = Path.Combine(folder, "control/drover-control");
        if (!File.Exists(program)) throw new BenchFailed($"{program} is missing: run ./bench.sh scheduler, which publishes it");
        var load = double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0], CultureInfo.InvariantCulture);
        var runs = new List<SchedulerRun>();
        foreach (var agents in wish.Agents) runs.Add(await new OneRun(agents, wish.Instances ?? agents * 20, wish.Apps, wish.Seconds, program, Path.Combine(folder, $"data-{agents}"), say).Measure());
        var report = new SchedulerReport("SQLite, write-ahead log, synchronous=FULL: a commit is on disk before its orders are sent", Environment.ProcessorCount,
            File.ReadLines("/proc/cpuinfo").FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim() ?? "unknown", Environment.OSVersion.Version.ToString(),
            "./bench.sh scheduler " + string.Join(' ', args), DateTimeOffset.UtcNow, "one HTTP/2 connection over mutual TLS for each agent", load, runs, SchedulerBars.Judge(runs));
        await File.WriteAllTextAsync(Path.Combine(folder, "scheduler.json"), JsonSerializer.Serialize(report, SchedulerJson.Default.SchedulerReport));
        Console.WriteLine(Table(runs));
        foreach (var bar in report.Bars) Console.WriteLine($"{(bar.Met ? "PASS" : "MISS")}  {bar.What}: {bar.Measured} ({bar.Asked})");
        return wish.Strict && report.Bars.Any(b => !b.Met) ? 1 : 0;
    }

    private static Wish? Read(string[] args)
    {
        var wish = new Wish([100, 1000, 5000], null, 1000, 20, false);
        for (var i = 0; i < args.Length; i++)
        {
            var value = i + 1 < args.Length ? args[i + 1] : "";
            var number = int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n > 0 ? n : (int?)null;
            switch (args[i])
            {
                case "--quick": wish = wish with { Agents = [50], Instances = 500, Apps = 50, Seconds = 5 }; continue;
                case "--strict": wish = wish with { Strict = true }; continue;
                case "--agents" when value.Split(',').Select(v => int.TryParse(v, out var a) ? a : 0).ToArray() is var agents && agents.All(a => a is > 0 and <= 50000): wish = wish with { Agents = agents }; break;
                case "--instances" when number is not null: wish = wish with { Instances = number }; break;
                case "--apps" when number is not null: wish = wish with { Apps = number.Value }; break;
                case "--seconds" when number is not null: wish = wish with { Seconds = number.Value }; break;
                default: return null;
            }
            i++;
        }
        return wish;
    }

    private static string Table(IEnumerable<SchedulerRun> runs)
    {
        var lines = new List<string>
        {
            "",
            "| agents | instances | placements/s | CPU µs a placement | GET p50, p99 ms | PUT p50, p99 ms | event lag p50, p99 ms | most memory MiB | back after kill -9 s | all agents back s |",
            "|---|---|---|---|---|---|---|---|---|---|",
        };
        lines.AddRange(runs.Select(r => string.Create(CultureInfo.InvariantCulture,
            $"| {r.Agents} | {(r.Placed < r.Instances ? $"{r.Placed} of " : "")}{r.Instances} | {r.PlacementsPerSecond:0} | {r.CpuMicrosecondsPerPlacement:0} | {r.AppsGetP50Ms}, {r.AppsGetP99Ms} | {r.AppPutP50Ms}, {r.AppPutP99Ms} | {r.EventLagP50Ms}, {r.EventLagP99Ms} | {r.ControlPlaneBytes / 1048576} | {r.RecoverySeconds:0.0} | {r.AgentsBackSeconds:0.0} |")));
        return string.Join('\n', lines) + "\n";
    }

    /// <summary>One size, on a data folder of its own.</summary>
    private sealed class OneRun(int agents, int instances, int apps, int seconds, string program, string data, Action<string> say)
    {
        public async Task<SchedulerRun> Measure()
        {
            // Of an earlier run of this bench, and of nothing else.
            if (Directory.Exists(data)) Directory.Delete(data, recursive: true);
            Directory.CreateDirectory(data);
            await Host.Run(program, "init", "--data", data);
            using var control = new ControlPlane(program, data);
            using var certificates = new NodeCertificates(data);
            await using var fleet = new Fleet();
            using var users = new Users(control.Http);
            using var over = new CancellationTokenSource();
            control.Start();
            if (!await users.Answers(TimeSpan.FromSeconds(30))) throw new BenchFailed($"the control plane does not answer: {users.LastFailure}; see {control.Log}");
            say($"{agents} agents, {instances} copies of {apps} apps");
            var since = Stopwatch.GetTimestamp();
            fleet.Start(agents, new Uri($"https://127.0.0.1:{control.AgentPort}"), certificates);
            if (!await fleet.AllConnected(Limit)) throw new BenchFailed($"only {fleet.Connected} of {agents} agents have their orders; see {control.Log}");
            var connect = Stopwatch.GetElapsedTime(since).TotalSeconds;
            say($"all agents have their orders after {connect:0.0} s; control plane {control.Memory(most: false) >> 20} MiB");

            List<Task> background = [users.ReadLists(over.Token), users.Listen(over.Token)];
            var (rate, cpu, placed) = await ColdStart(control, fleet, users, over.Token);
            var idle = control.Memory(most: false);
            say($"{placed} placements, {rate:0}/s, {cpu:0} µs of the control plane's processor each; control plane {idle >> 20} MiB, most {control.Memory(most: true) >> 20}; lists p99 {users.Lists.At(0.99)} ms, lag p99 {users.Lags.At(0.99)} ms, cut {users.TimesCutOff}");

            background.AddRange(Enumerable.Range(0, 4).Select(seed => users.Change(apps, instances, seed, over.Token)));
            await Task.Delay(TimeSpan.FromSeconds(seconds));
            var run = new SchedulerRun(agents, instances, apps, placed, Math.Round(rate, 1), Math.Round(cpu, 1), users.Lists.At(0.5), users.Lists.At(0.99), users.Puts.At(0.5), users.Puts.At(0.99), users.Lags.At(0.5), users.Lags.At(0.99), users.Events, users.TimesCutOff,
                control.Memory(most: true), idle, 0, 0, 0, Math.Round(connect, 1), users.Changes, users.Failures, control.DatabaseBytes);
            say($"{run.Changes} changes ({run.Failures} failed{(run.Failures > 0 ? $": {users.LastFailure}" : "")}), PUT p99 {run.AppPutP99Ms} ms, lists p99 {run.AppsGetP99Ms} ms, lag p99 {run.EventLagP99Ms} ms, most memory {run.ControlPlaneBytes >> 20} MiB");

            run = await KillAndReturn(run, control, fleet, users);
            await over.CancelAsync();
            await Task.WhenAll(background).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return run;
        }

        private async Task<(double Rate, double Cpu, int Placed)> ColdStart(ControlPlane control, Fleet fleet, Users users, CancellationToken cancel)
        {
            var (since, processor) = (Stopwatch.GetTimestamp(), control.ProcessorTime);
            var creating = users.Create(apps, instances, cancel);
            var whole = await Fleet.Until(() => fleet.Placed >= instances || control.Ended || creating.IsFaulted, Limit);
            if (control.Ended) throw new BenchFailed($"the control plane ended; see {control.Log}");
            if (whole || creating.IsFaulted) await creating;
            var took = Stopwatch.GetElapsedTime(since, fleet.LastAt).TotalSeconds;
            var placed = (int)Math.Min(instances, fleet.Placed);
            return (placed / took, (control.ProcessorTime - processor).TotalMicroseconds / Math.Max(1, placed), placed);
        }

        private async Task<SchedulerRun> KillAndReturn(SchedulerRun run, ControlPlane control, Fleet fleet, Users users)
        {
            var since = Stopwatch.GetTimestamp();
            control.Kill();
            control.Start();
            var served = await users.Served(apps, Limit);
            var back = Stopwatch.GetElapsedTime(since).TotalSeconds;
            await Fleet.Until(() => fleet.Connected > 0, Limit);
            var before = fleet.Placed;
            await users.Post(Users.Definition(apps, 1));
            await Fleet.Until(() => fleet.Placed > before, Limit);
            var first = Stopwatch.GetElapsedTime(since).TotalSeconds;
            await fleet.AllConnected(Limit);
            var all = Stopwatch.GetElapsedTime(since).TotalSeconds;
            say($"after kill -9: {(served ? "serves" : "does not serve")} after {back:0.0} s, a placement after {first:0.0} s, {fleet.Connected} agents back after {all:0.0} s; control plane {control.Memory(most: true) >> 20} MiB");
            return run with { RecoverySeconds = Math.Round(back, 2), AgentsBackSeconds = Math.Round(all, 1), FirstPlacementSeconds = Math.Round(first, 2) };
        }
    }
}
