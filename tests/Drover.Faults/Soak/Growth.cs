using System.Globalization;

namespace Drover.Faults.Soak;

/// <summary>What the lab holds at one moment: of each kind the sum or the largest.</summary>
public sealed record Holdings(double MemoryMiB, double Handles, double Snapshots, double Files);

/// <summary>Whether what is held grows over a run. Pure.</summary>
public static class Growth
{
    /// <summary>Fewer samples say nothing about a slope.</summary>
    public const int Fewest = 12;

    /// <summary>What grew; empty: nothing did. The first quarter, while everything warms up, is left out of account.</summary>
    public static IReadOnlyList<string> Of(IReadOnlyList<Holdings> samples)
    {
        if (samples.Count < Fewest) return [];
        return
        [
            .. One("memory of the processes", "MiB", [.. samples.Select(s => s.MemoryMiB)], allowed: 40),
            .. One("handles", "open", [.. samples.Select(s => s.Handles)], allowed: 40),
            .. One("snapshots", "on all pools", [.. samples.Select(s => s.Snapshots)], allowed: 4),
            .. One("files of agents and control plane", "", [.. samples.Select(s => s.Files)], allowed: 10),
        ];
    }

    /// <summary>The line that fits the samples best: by how much it rises from the first quarter's end to the run's.</summary>
    public static double Rise(IReadOnlyList<double> samples)
    {
        var kept = samples.Skip(samples.Count / 4).ToList();
        var (meanX, meanY) = ((kept.Count - 1) / 2.0, kept.Average());
        double over = 0, under = 0;
        for (var i = 0; i < kept.Count; i++) (over, under) = (over + ((i - meanX) * (kept[i] - meanY)), under + ((i - meanX) * (i - meanX)));
        return under > 0 ? over / under * (kept.Count - 1) : 0;
    }

    private static IEnumerable<string> One(string what, string unit, IReadOnlyList<double> samples, double allowed)
    {
        var rise = Rise(samples);
        // A part of what was there may come and go; what leaks goes on and on.
        var limit = Math.Max(allowed, 0.2 * samples.Skip(samples.Count / 4).Average());
        if (rise > limit) yield return string.Create(CultureInfo.InvariantCulture, $"{what} grew by {rise:0} {unit} (allowed {limit:0})");
    }
}
