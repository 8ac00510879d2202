using System.Text.Json;
using System.Text.Json.Serialization;

namespace Drover.Bench;

internal sealed record Spread(double Min, double Median, double Max)
{
    public static Spread? Of(IEnumerable<double> values)
    {
        var sorted = values.Order().ToList();
        return sorted.Count == 0 ? null : new(Math.Round(sorted[0], 1), Math.Round(Middle(sorted), 1), Math.Round(sorted[^1], 1));
    }

    private static double Middle(List<double> sorted) => sorted.Count % 2 == 1 ? sorted[sorted.Count / 2] : (sorted[sorted.Count / 2 - 1] + sorted[sorted.Count / 2]) / 2;
}

internal sealed record Computer(int Cores, long MemoryBytes, string Cpu, string Kernel, string Docker, string Btrfs);

/// <param name="VolumeBytes">What the volume was filled to; the load adds to it.</param>
/// <param name="CutoverMs">From the stop requested to the first answer.</param>
/// <param name="AddedCutoverMs">Less the median of the same container's own stop and start on one node.</param>
/// <param name="SeedBytesPerSecond">First, full copy while the load runs.</param>
/// <param name="ResentAfterCutBytes">Sent twice because the connection was reset at 90 % of a full copy; null where that was not tried.</param>
/// <param name="Errors">Moves that failed; a run with errors has no figures to trust.</param>
internal sealed record Run(string System, string Workload, long VolumeBytes, int Moves, Spread? CutoverMs, Spread? AddedCutoverMs, Spread? OwnStopStartMs, long? SeedBytesPerSecond,
    long? SeedBytes, long? ResentAfterCutBytes, long? AgentPeakBytes, IReadOnlyList<string> Errors);

internal sealed record Drain(int Volumes, long VolumeBytes, double SerialMs, double DrainMs);

internal sealed record Bar(string What, string Asked, string Measured, bool Met);

internal sealed record Report(Computer Machine, DateTimeOffset At, string Command, IReadOnlyList<Run> Runs, Drain? Drain, IReadOnlyList<Bar> Bars);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(Report))]
internal sealed partial class BenchJson : JsonSerializerContext;

internal static class Bars
{
    private const double GiB = 1L << 30;

    public static IReadOnlyList<Bar> Judge(IReadOnlyList<Run> runs, Drain? drain)
    {
        var bars = new List<Bar>();
        var ours = runs.Where(r => r is { System: "drover", Workload: "writer" }).OrderBy(r => r.VolumeBytes).ToList();
        foreach (var run in ours.Where(r => r.AddedCutoverMs is not null))
        {
            bars.Add(AtMost($"added cutover at {Size(run)}", run.AddedCutoverMs!.Median, 150, "ms"));
            if (Find(runs, "floor", run) is { } floor)
            {
                bars.Add(AtMost($"added cutover at {Size(run)} over the floor's (aim)", run.AddedCutoverMs.Median / Math.Max(1, floor.AddedCutoverMs!.Median), 2, "×"));
                if (run.SeedBytesPerSecond is { } seed && floor.SeedBytesPerSecond is { } pipe) bars.Add(AtLeast($"seed rate at {Size(run)} over the floor's pipe", (double)seed / pipe, 0.9, "×"));
            }
            if (run is { ResentAfterCutBytes: { } resent, SeedBytes: { } seeded and > 0 }) bars.Add(AtMost($"sent again after a cut at 90 % of {Size(run)}", 100.0 * resent / seeded, 10, "%"));
            if (run is { AgentPeakBytes: { } peak, VolumeBytes: >= 10L << 30 }) bars.Add(AtMost("agent's memory in a 10 GiB move, with the ring", peak / 1048576.0, 64 + 16, "MiB"));
        }
        if (ours is [var small, .., var large] && small.AddedCutoverMs is { } s && large.AddedCutoverMs is { } l) bars.Add(AtMost($"added cutover at {Size(large)}, against that at {Size(small)}", l.Median, 1.1 * s.Median + 20, "ms"));
        if (ours.FirstOrDefault()?.AddedCutoverMs is { } mine)
            foreach (var peer in runs.Where(r => r.System is not ("drover" or "floor") && r.AddedCutoverMs is not null))
                bars.Add(AtLeast($"{peer.System}'s added cutover over ours", peer.AddedCutoverMs!.Median / Math.Max(1, mine.Median), 5, "×"));
        if (runs.FirstOrDefault(r => r is { System: "drover", Workload: "postgres" })?.CutoverMs is { } whole) bars.Add(AtMost("PostgreSQL's whole cutover", whole.Median, 1500, "ms"));
        if (drain is not null) bars.Add(AtMost($"drain of {drain.Volumes} volumes over one after the other", drain.DrainMs / drain.SerialMs, 0.5, "×"));
        return bars;
    }

    public static string Size(Run run) => $"{run.VolumeBytes / GiB:0.##} GiB";

    private static Run? Find(IReadOnlyList<Run> runs, string system, Run like) => runs.FirstOrDefault(r => r.System == system && r.Workload == like.Workload && r.VolumeBytes == like.VolumeBytes && r.AddedCutoverMs is not null);

    private static Bar AtMost(string what, double measured, double most, string unit) => new(what, $"≤ {most:0.##} {unit}", $"{measured:0.##} {unit}", measured <= most);

    private static Bar AtLeast(string what, double measured, double least, string unit) => new(what, $"≥ {least:0.##} {unit}", $"{measured:0.##} {unit}", measured >= least);
}
