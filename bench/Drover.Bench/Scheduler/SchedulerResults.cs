using System.Text.Json.Serialization;

namespace Drover.Bench.Scheduler;

/// <param name="PlacementsPerSecond">Cold start: all copies, from the first app's POST to the last order in an agent's hands. Each was accepted and is durable before it is sent.</param>
/// <param name="Placed">Less than <paramref name="Instances"/>: it was given up after the limit.</param>
/// <param name="AppsGetP99Ms">GET /v2/apps, all apps with counts, whole answer read, during the cold start and the changes.</param>
/// <param name="AppPutP99Ms">PUT /v2/apps/{id}, during the changes.</param>
/// <param name="EventLagP99Ms">From the moment a commit says to its event in a listener's hands, during the cold start and the changes.</param>
/// <param name="ControlPlaneBytes">Most resident memory ever (VmHWM) until the kill.</param>
/// <param name="RecoverySeconds">From kill -9 under load to the whole list of apps read and a change accepted.</param>
/// <param name="AgentsBackSeconds">From the kill until every agent has its orders again.</param>
internal sealed record SchedulerRun(int Agents, int Instances, int Apps, int Placed, double PlacementsPerSecond, double CpuMicrosecondsPerPlacement, double AppsGetP50Ms, double AppsGetP99Ms, double AppPutP50Ms, double AppPutP99Ms,
    double EventLagP50Ms, double EventLagP99Ms, long Events, int TimesCutOff, long ControlPlaneBytes, long IdleBytes, double RecoverySeconds, double AgentsBackSeconds, double FirstPlacementSeconds,
    double ConnectSeconds, int Changes, int Failures, long DatabaseBytes);

internal sealed record SchedulerReport(string Durability, int Cores, string Cpu, string Kernel, string Command, DateTimeOffset At, string Connections, double LoadBefore, IReadOnlyList<SchedulerRun> Runs, IReadOnlyList<Bar> Bars);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(SchedulerReport))]
internal sealed partial class SchedulerJson : JsonSerializerContext;

internal static class SchedulerBars
{
    /// <summary>Those that say a size hold at that size alone.</summary>
    public static IReadOnlyList<Bar> Judge(IReadOnlyList<SchedulerRun> runs)
    {
        var bars = new List<Bar>();
        foreach (var run in runs)
        {
            var at = $"at {run.Agents} agents";
            if (run.Agents >= 5000)
            {
                bars.Add(AtLeast($"placements a second {at}", run.PlacementsPerSecond, 3750, "/s"));
                bars.Add(AtMost($"control plane's memory {at}, {run.Instances} instances", run.ControlPlaneBytes / 1048576.0, 500, "MiB"));
            }
            bars.Add(AtMost($"GET /v2/apps p99 {at}", run.AppsGetP99Ms, 250, "ms"));
            bars.Add(AtMost($"PUT p99 {at}", run.AppPutP99Ms, 100, "ms"));
            bars.Add(AtMost($"event lag p99 {at}", run.EventLagP99Ms, 100, "ms"));
            bars.Add(AtMost($"back in service after kill -9 {at}", run.RecoverySeconds, 5, "s"));
            bars.Add(AtLeast($"copies placed {at}", run.Placed, run.Instances, ""));
        }
        if (runs is [var small, .., var large])
            bars.Add(AtMost($"control plane's processor time for a placement, {large.Agents} agents over {small.Agents}", large.CpuMicrosecondsPerPlacement / small.CpuMicrosecondsPerPlacement, (double)large.Agents / small.Agents, "× (sub-linear)"));
        return bars;
    }

    private static Bar AtMost(string what, double measured, double most, string unit) => new(what, $"≤ {most:0.##} {unit}", $"{measured:0.##} {unit}", measured <= most);

    private static Bar AtLeast(string what, double measured, double least, string unit) => new(what, $"≥ {least:0.##} {unit}", $"{measured:0.##} {unit}", measured >= least);
}

/// <summary>Durations from many threads.</summary>
internal sealed class Durations
{
    private readonly List<double> _all = [];

    public void Add(double milliseconds)
    {
        lock (_all) _all.Add(milliseconds);
    }

    public int Count { get { lock (_all) return _all.Count; } }

    public double At(double share)
    {
        lock (_all)
        {
            if (_all.Count == 0) return 0;
            var sorted = _all.Order().ToList();
            return Math.Round(sorted[Math.Min(sorted.Count - 1, (int)(sorted.Count * share))], 1);
        }
    }
}
