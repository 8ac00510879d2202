using System.Text.Json;
using System.Text.RegularExpressions;
using Drover.Testing.Metrics;
using Xunit;

namespace Drover.ControlPlane.Tests.Observability;

/// <summary>The board and the alert rules speak of metrics that exist, with labels that they have: docs/metrics.md lists them, and is held to the code by other tests.</summary>
public sealed partial class AlertFilesTests
{
    private static readonly IReadOnlyDictionary<string, IReadOnlyList<string>> Metrics = MetricPage.Listed();
    /// <summary>What Prometheus itself adds.</summary>
    private static readonly string[] Added = ["job", "instance"];

    private static string Read(string path) => File.ReadAllText(Path.Combine(MetricPage.Root, path));

    private static IReadOnlyList<(string Alert, string Expression)> Rules() =>
        [.. Alert().Matches(Read("deploy/prometheus/drover.rules.yml")).Select(m => (m.Groups["name"].Value, m.Groups["expr"].Value))];

    private static IReadOnlyList<string> Board()
    {
        using var board = JsonDocument.Parse(Read("deploy/grafana/drover.json"));
        return [.. board.RootElement.GetProperty("panels").EnumerateArray().Where(p => p.TryGetProperty("targets", out _)).SelectMany(p => p.GetProperty("targets").EnumerateArray()).Select(t => t.GetProperty("expr").GetString()!)];
    }

    /// <summary>What is wrong with an expression; empty: nothing.</summary>
    private static IEnumerable<string> Faults(string expression)
    {
        var found = Selector().Matches(expression);
        if (found.Count == 0) yield return $"{expression}: speaks of no metric";
        var known = new HashSet<string>(Added);
        foreach (Match selector in found)
        {
            var name = selector.Groups["name"].Value;
            if (!Metrics.TryGetValue(name, out var labels))
            {
                yield return $"{expression}: there is no metric {name}";
                continue;
            }
            known.UnionWith(labels);
            foreach (Capture label in selector.Groups["label"].Captures)
                if (!labels.Contains(label.Value) && !Added.Contains(label.Value)) yield return $"{expression}: {name} has no label {label.Value}";
        }
        foreach (Match grouping in Grouping().Matches(expression))
            foreach (var label in grouping.Groups["labels"].Value.Split(',', StringSplitOptions.TrimEntries))
                if (!known.Contains(label)) yield return $"{expression}: nothing in it has the label {label}";
    }

    [Fact]
    public void Alerts_speak_of_what_exists()
    {
        var rules = Rules();
        Assert.True(rules.Count >= 15, $"{rules.Count} alerts were found");
        Assert.Equal([], rules.SelectMany(r => Faults(r.Expression)));
    }

    [Fact]
    public void The_board_speaks_of_what_exists()
    {
        var board = Board();
        Assert.True(board.Count >= 40, $"{board.Count} expressions were found");
        Assert.Equal([], board.SelectMany(Faults));
    }

    [Theory]
    [InlineData("rate(drover_moves[5m])", "there is no metric drover_moves")]
    [InlineData("drover_nodes{node=\"a\"}", "has no label node")]
    [InlineData("sum by (app) (drover_queue)", "the label app")]
    [InlineData("up", "no metric")]
    public void What_does_not_exist_is_found(string expression, string fault) => Assert.Contains(fault, Assert.Single(Faults(expression)), StringComparison.Ordinal);

    [Fact]
    public void Each_alert_is_explained_and_shown_firing_and_not_firing()
    {
        var (page, tests) = (Read("docs/observability.md"), Read("deploy/prometheus/drover.rules.test.yml"));
        foreach (var (alert, _) in Rules())
        {
            Assert.Contains($"\n### {alert}\n", page, StringComparison.Ordinal);
            Assert.Equal(2, Regex.Count(tests, $@"alertname: {alert}\n"));
            Assert.Single(Regex.Matches(tests, $@"alertname: {alert}\n +exp_alerts: \[\]"));
        }
        Assert.Equal(Rules().Select(r => r.Alert).Order(), Heading().Matches(page).Select(m => m.Groups["name"].Value).Order());
    }

    [GeneratedRegex(@"- alert: (?<name>\w+)\n +expr: (?<expr>.+)")]
    private static partial Regex Alert();

    [GeneratedRegex(@"(?<name>\b(drover|process|dotnet)_\w+)(\{((?<label>\w+)(=~|!~|!=|=)""[^""]*""(, ?)?)*\})?", RegexOptions.ExplicitCapture)]
    private static partial Regex Selector();

    [GeneratedRegex(@"\b(by|on) \((?<labels>[^)]+)\)", RegexOptions.ExplicitCapture)]
    private static partial Regex Grouping();

    [GeneratedRegex(@"^### (?<name>Drover\w+)$", RegexOptions.Multiline)]
    private static partial Regex Heading();
}
