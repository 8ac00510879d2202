using System.Globalization;
using System.Text;

namespace Drover.Bench;

internal static class Drawing
{
    public static string Table(Report report)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"Machine: {report.Machine.Cores} cores ({report.Machine.Cpu}), {report.Machine.MemoryBytes >> 30} GiB, kernel {report.Machine.Kernel}, Docker {report.Machine.Docker}, {report.Machine.Btrfs}. `{report.Command}`, {report.At:yyyy-MM-dd}.\n");
        text.AppendLine("| system | load | volume | moves | cutover ms: min, median, max | added ms: min, median, max | container's own stop and start ms | first copy MiB/s | sent again after a cut at 90 % | agent's peak MiB | errors |");
        text.AppendLine("|---|---|---|---|---|---|---|---|---|---|---|");
        foreach (var run in report.Runs)
            text.AppendLine(CultureInfo.InvariantCulture, $"| {run.System} | {run.Workload} | {Bars.Size(run)} | {run.Moves} | {Three(run.CutoverMs)} | {Three(run.AddedCutoverMs)} | {run.OwnStopStartMs?.Median:0} | {run.SeedBytesPerSecond / 1048576.0:0} | {(run.ResentAfterCutBytes is { } resent && run.SeedBytes is { } seeded ? $"{100.0 * resent / seeded:0.0} %" : "–")} | {(run.AgentPeakBytes is { } peak ? $"{peak >> 20}" : "–")} | {run.Errors.Count} |");
        if (report.Drain is { } drain) text.AppendLine(CultureInfo.InvariantCulture, $"\nDrain of {drain.Volumes} volumes of {drain.VolumeBytes >> 20} MiB: {drain.DrainMs / 1000:0.0} s; one after the other {drain.SerialMs / 1000:0.0} s.");
        text.AppendLine("\n| bar | asked | measured | |\n|---|---|---|---|");
        foreach (var bar in report.Bars) text.AppendLine(CultureInfo.InvariantCulture, $"| {bar.What} | {bar.Asked} | {bar.Measured} | {(bar.Met ? "met" : "**missed**")} |");
        return text.ToString();
    }

    private static string Three(Spread? spread) => spread is null ? "–" : string.Create(CultureInfo.InvariantCulture, $"{spread.Min:0}, **{spread.Median:0}**, {spread.Max:0}");

    /// <summary>Added cutover of every run, on a logarithmic scale, as SVG that reads on light and dark pages.</summary>
    public static string Chart(Report report)
    {
        const int left = 210, width = 460, row = 26;
        var runs = report.Runs.Where(r => r.AddedCutoverMs is not null).ToList();
        var most = Math.Max(1000, runs.Max(r => r.AddedCutoverMs!.Max));
        double X(double ms) => left + width * Math.Log10(Math.Max(1, ms)) / Math.Log10(most);
        var svg = new StringBuilder();
        svg.AppendLine(CultureInfo.InvariantCulture, $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {left + width + 90} {runs.Count * row + 60}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#777\">");
        svg.AppendLine("<title>Added cutover in ms, logarithmic: what moving adds to the container's own stop and start</title>");
        for (var tick = 1; tick <= most; tick *= 10)
            svg.AppendLine(CultureInfo.InvariantCulture, $"<line x1=\"{X(tick):0}\" x2=\"{X(tick):0}\" y1=\"10\" y2=\"{runs.Count * row + 20}\" stroke=\"#8884\"/><text x=\"{X(tick):0}\" y=\"{runs.Count * row + 38}\" text-anchor=\"middle\">{tick:#,0} ms</text>");
        for (var i = 0; i < runs.Count; i++)
        {
            var (run, y, spread) = (runs[i], 20 + i * row, runs[i].AddedCutoverMs!);
            svg.AppendLine(CultureInfo.InvariantCulture, $"<text x=\"{left - 8}\" y=\"{y + 12}\" text-anchor=\"end\">{run.System}, {run.Workload}, {Bars.Size(run)}</text>");
            svg.AppendLine(CultureInfo.InvariantCulture, $"<rect x=\"{left}\" y=\"{y}\" width=\"{X(spread.Median) - left:0.0}\" height=\"16\" rx=\"2\" fill=\"{(run.System == "drover" ? "#2a78d6" : "#999")}\"/><line x1=\"{X(spread.Min):0.0}\" x2=\"{X(spread.Max):0.0}\" y1=\"{y + 8}\" y2=\"{y + 8}\" stroke=\"#d60\" stroke-width=\"2\"/><text x=\"{X(spread.Max) + 6:0.0}\" y=\"{y + 12}\">{spread.Median:0}</text>");
        }
        svg.AppendLine("</svg>");
        return svg.ToString();
    }
}
