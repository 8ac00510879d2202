using System.Globalization;
using System.Text;
using Drover.Contracts.Metrics;

namespace Drover.Testing.Metrics;

/// <summary>docs/metrics.md: one section for each program, made from the instruments that it has.</summary>
public static class MetricPage
{
    public const string Update = "DROVER_UPDATE_DOCS";

    public static string Root { get; } = FindRoot();
    public static string File => Path.Combine(Root, "docs/metrics.md");

    /// <summary>What is wrong with the page, empty: nothing. With <see cref="Update"/> set it is brought up to date instead.</summary>
    public static string Fault(string program, MetricBook book)
    {
        var (begin, end) = ($"<!-- {program}: made from the code -->\n", $"<!-- {program}: end -->\n");
        var page = System.IO.File.ReadAllText(File);
        var (from, to) = (page.IndexOf(begin, StringComparison.Ordinal), page.IndexOf(end, StringComparison.Ordinal));
        if (from < 0 || to < from) return $"docs/metrics.md has no section between '{begin.Trim()}' and '{end.Trim()}'";
        var updated = page[..(from + begin.Length)] + Table(book.All) + page[to..];
        if (page == updated) return "";
        if (Environment.GetEnvironmentVariable(Update) is { Length: > 0 }) System.IO.File.WriteAllText(File, updated);
        else return $"docs/metrics.md does not list what {program} has: run this test once with {Update}=1 and commit the page. It should say:\n{Table(book.All)}";
        return "";
    }

    /// <summary>What the page lists for all programs: names as Prometheus stores them, with their labels.</summary>
    public static IReadOnlyDictionary<string, IReadOnlyList<string>> Listed()
    {
        var listed = new Dictionary<string, IReadOnlyList<string>>(StringComparer.Ordinal);
        foreach (var line in System.IO.File.ReadLines(File).Where(l => l.StartsWith("| `", StringComparison.Ordinal)))
        {
            var cells = line.Split('|', StringSplitOptions.TrimEntries);
            var (name, kind) = (cells[1].Trim('`'), cells[2]);
            string[] labels = [.. cells[3].Split(", ", StringSplitOptions.RemoveEmptyEntries).Select(l => l.Trim('`'))];
            if (kind == "histogram")
            {
                listed[name + "_bucket"] = [.. labels, "le"];
                listed[name + "_sum"] = listed[name + "_count"] = labels;
            }
            else listed[name] = labels;
        }
        return listed;
    }

    /// <summary>Of the one series with these values of its labels; NaN: there is none.</summary>
    public static double Value(this MetricBook book, string name, params string[] labels) =>
        book.Read().Single(m => m.Info.Name == name).Series.FirstOrDefault(s => s.Labels.SequenceEqual(labels))?.Value ?? double.NaN;

    /// <summary>How often something was recorded into a histogram's series.</summary>
    public static long Count(this MetricBook book, string name, params string[] labels) =>
        book.Read().Single(m => m.Info.Name == name).Series.FirstOrDefault(s => s.Labels.SequenceEqual(labels))?.Counts[^1] ?? 0;

    private static string Table(IEnumerable<MetricInfo> metrics)
    {
        var text = new StringBuilder("| metric | kind | labels | what it is |\n|---|---|---|---|\n");
        foreach (var metric in metrics)
        {
            text.Append(CultureInfo.InvariantCulture, $"| `{metric.Name}` | {metric.Kind.ToString().ToLowerInvariant()} | {string.Join(", ", metric.Labels.Select(l => $"`{l}`"))} | {metric.Help}");
            if (metric.Kind == MetricKind.Histogram) text.Append(CultureInfo.InvariantCulture, $" Buckets: {string.Join(' ', metric.Buckets)}.");
            text.Append(" |\n");
        }
        return text.ToString();
    }

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (System.IO.File.Exists(Path.Combine(folder.FullName, "Drover.slnx"))) return folder.FullName;
        throw new InvalidOperationException("the tests run outside the repository");
    }
}
