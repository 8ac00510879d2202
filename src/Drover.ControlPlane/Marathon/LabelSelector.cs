using System.Text.RegularExpressions;
using Drover.Core;
using Drover.Core.Apps;

namespace Drover.ControlPlane.Marathon;

/// <summary>`a`, `a==b`, `a!=b`, `a in (x,y)`, `a notin (x,y)`, joined by commas, all of which must hold. Each needs the label to exist.</summary>
public sealed partial class LabelSelector
{
    private readonly List<(string Key, bool Wanted, HashSet<string>? Values)> _terms = [];

    [GeneratedRegex(@"\G\s*(?<key>[-A-Za-z0-9_.]+)\s*(?:(?<op>==|!=)\s*(?<value>[-A-Za-z0-9_.]+)|(?<in>in|notin)\s*\((?<set>[^()]*)\))?\s*(?:,|\z)")]
    private static partial Regex Term();

    /// <summary>null: the text is no selector.</summary>
    public static LabelSelector? Parse(string text)
    {
        var selector = new LabelSelector();
        var at = 0;
        while (at < text.Length)
        {
            var match = Term().Match(text, at);
            if (!match.Success) return null;
            HashSet<string>? values = match.Groups["op"].Success ? [match.Groups["value"].Value]
                : match.Groups["in"].Success ? [.. match.Groups["set"].Value.Split(',', StringSplitOptions.TrimEntries)] : null;
            selector._terms.Add((match.Groups["key"].Value, match.Groups["op"].Value != "!=" && match.Groups["in"].Value != "notin", values));
            at = match.Index + match.Length;
        }
        return selector._terms.Count > 0 ? selector : null;
    }

    public bool Matches(EquatableList<Label> labels) => _terms.TrueForAll(term =>
        labels.Items.FirstOrDefault(l => l.Name == term.Key) is { } label && (term.Values is null || term.Values.Contains(label.Value) == term.Wanted));
}
