using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using Drover.Core.Nodes;
using Drover.Core.State;

namespace Drover.Core.Apps;

/// <summary>Marathon's placement constraints as released (GROUP_BY included: a value not used yet is always taken).</summary>
public static partial class Constraints
{
    private static readonly TimeSpan MatchLimit = TimeSpan.FromMilliseconds(100);

    public const string Operators = "UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS";

    public static bool TryParseOperator(string? text, out ConstraintOperator parsed)
    {
        (parsed, var known) = text?.ToUpperInvariant() switch
        {
            "UNIQUE" => (ConstraintOperator.Unique, true),
            "CLUSTER" => (ConstraintOperator.Cluster, true),
            "GROUP_BY" => (ConstraintOperator.GroupBy, true),
            "LIKE" => (ConstraintOperator.Like, true),
            "UNLIKE" => (ConstraintOperator.Unlike, true),
            "MAX_PER" => (ConstraintOperator.MaxPer, true),
            "IS" => (ConstraintOperator.Is, true),
            _ => (default, false),
        };
        return known;
    }

    public static string Name(ConstraintOperator op) => op switch
    {
        ConstraintOperator.Unique => "UNIQUE",
        ConstraintOperator.Cluster => "CLUSTER",
        ConstraintOperator.GroupBy => "GROUP_BY",
        ConstraintOperator.Like => "LIKE",
        ConstraintOperator.Unlike => "UNLIKE",
        ConstraintOperator.MaxPer => "MAX_PER",
        _ => "IS",
    };

    /// <summary>What is wrong with the constraint itself; null: well formed.</summary>
    public static string? Problem(Constraint constraint) => constraint.Operator switch
    {
        _ when constraint.Field.Length == 0 => "the field must not be empty: give an attribute's name or hostname",
        ConstraintOperator.Unique when constraint.Value is not null => "UNIQUE does not accept a value: leave the third element out",
        ConstraintOperator.Like or ConstraintOperator.Unlike => RegexProblem(constraint),
        ConstraintOperator.GroupBy when constraint.Value is { } n && !int.TryParse(n, NumberStyles.Integer, CultureInfo.InvariantCulture, out _) =>
            $"GROUP_BY takes an integer value or none, not '{n}'",
        ConstraintOperator.MaxPer when !int.TryParse(constraint.Value, NumberStyles.Integer, CultureInfo.InvariantCulture, out _) =>
            $"MAX_PER requires an integer value, not '{constraint.Value}'",
        ConstraintOperator.Is when constraint.Value is not { } text || !IsValue().IsMatch(text) =>
            "IS requires a value of letters, digits and _/.-",
        _ => null,
    };

    /// <summary>Why this node does not satisfy the constraint; null: it does.</summary>
    /// <param name="placed">Nodes of the app's other copies, oldest copy first.</param>
    public static string? Refusal(Constraint constraint, Node node, IReadOnlyList<Node> placed)
    {
        var label = $"[{constraint.Field}, {Name(constraint.Operator)}{(constraint.Value is { } v ? $", {v}" : "")}]";
        if (ValueOf(node, constraint.Field) is not { } value)
        {
            return constraint.Operator == ConstraintOperator.Unlike ? null : $"{label} not met: the node has no {constraint.Field}";
        }
        var reason = constraint.Operator switch
        {
            ConstraintOperator.Unique => placed.Any(n => ValueOf(n, constraint.Field) == value) ? $"a copy already runs where {constraint.Field} is {value}" : null,
            ConstraintOperator.Cluster => ClusterReason(constraint, value, placed),
            ConstraintOperator.GroupBy => GroupByReason(constraint, value, placed),
            ConstraintOperator.Like => LikeReason(constraint.Value, value, wanted: true),
            ConstraintOperator.Unlike => LikeReason(constraint.Value, value, wanted: false),
            ConstraintOperator.MaxPer => MaxPerReason(constraint, value, placed),
            _ => value == Rendered(constraint.Value ?? "") ? null : $"{constraint.Field} is {value}",
        };
        return reason is null ? null : $"{label} not met: {reason}";
    }

    /// <summary>Reasons of all constraints of the app that this node does not satisfy.</summary>
    public static IEnumerable<string> Refusals(ClusterState state, AppSpec spec, Node node, Instance? self)
    {
        if (spec.Constraints.Count == 0) return [];
        var placed = Placed(state, spec, self);
        return spec.Constraints.Items.Select(c => Refusal(c, node, placed)).OfType<string>();
    }

    /// <summary>Nodes of the app's other copies, oldest copy first.</summary>
    internal static ImmutableArray<Node> Placed(ClusterState state, AppSpec spec, Instance? self) =>
    [
        .. state.InstancesOf(spec.Id).Where(i => i.Id != self?.Id && i.Node is not null && i.State != InstanceState.Gone)
            .Select(i => state.Nodes.GetValueOrDefault(i.Node!.Value)).OfType<Node>(),
    ];

    /// <summary>The field's value on this node as constraints compare it: Mesos' text form, so that `1.50` is `1.5`.</summary>
    public static string? ValueOf(Node node, string field)
    {
        if (field is "hostname" or "@hostname") return node.Hostname;
        var name = field is "@zone" or "@region" && node.Attribute(field) is null ? field[1..] : field;
        return node.Attribute(name) is { } value ? Rendered(value) : null;
    }

    private static string? ClusterReason(Constraint constraint, string value, IReadOnlyList<Node> placed)
    {
        if (!string.IsNullOrEmpty(constraint.Value)) return value == constraint.Value ? null : $"{constraint.Field} is {value}";
        if (placed.Count == 0) return null;
        var first = ValueOf(placed[0], constraint.Field);
        return first == value ? null : $"the first copy runs where {constraint.Field} is {first ?? "not set"}, here it is {value}";
    }

    private static string? GroupByReason(Constraint constraint, string value, IReadOnlyList<Node> placed)
    {
        var minimum = int.TryParse(constraint.Value, NumberStyles.Integer, CultureInfo.InvariantCulture, out var n) ? n : 0;
        var groups = placed.Select(p => ValueOf(p, constraint.Field)).OfType<string>().GroupBy(x => x).ToDictionary(g => g.Key, g => g.Count());
        if (!groups.TryGetValue(value, out var here)) return null;
        if (groups.Count < minimum) return $"{groups.Count} of {minimum} values of {constraint.Field} are in use; the next copy needs another one than {value}";
        var smallest = groups.Values.Min();
        return here == smallest ? null : $"{value} has {here} copies, another {constraint.Field} has {smallest}";
    }

    private static string? MaxPerReason(Constraint constraint, string value, IReadOnlyList<Node> placed)
    {
        var most = int.TryParse(constraint.Value, NumberStyles.Integer, CultureInfo.InvariantCulture, out var n) ? n : 0;
        var here = placed.Count(p => ValueOf(p, constraint.Field) == value);
        return here < most ? null : $"{here} of at most {most} copies run where {constraint.Field} is {value}";
    }

    private static string? LikeReason(string? pattern, string value, bool wanted)
    {
        try
        {
            return WholeMatch(pattern ?? "").IsMatch(value) == wanted ? null : $"{value} {(wanted ? "does not match" : "matches")}";
        }
        catch (RegexMatchTimeoutException)
        {
            return $"matching {value} took longer than {MatchLimit.TotalMilliseconds} ms: simplify the expression";
        }
        catch (ArgumentException)
        {
            return "it is no valid regular expression";
        }
    }

    private static string? RegexProblem(Constraint constraint)
    {
        if (string.IsNullOrEmpty(constraint.Value)) return $"{Name(constraint.Operator)} requires a non-empty regular expression";
        try
        {
            _ = WholeMatch(constraint.Value);
            return null;
        }
        catch (ArgumentException e)
        {
            return $"'{constraint.Value}' is no valid regular expression: {e.Message}";
        }
    }

    private static Regex WholeMatch(string pattern) => new($@"\A(?:{pattern})\z", RegexOptions.CultureInvariant, MatchLimit);

    private static string Rendered(string value)
    {
        if (Scalar().IsMatch(value) && decimal.TryParse(value, NumberStyles.Number, CultureInfo.InvariantCulture, out var number))
        {
            return Math.Round(number, 3, MidpointRounding.ToEven).ToString("0.###", CultureInfo.InvariantCulture);
        }
        if (value is ['[', .., ']'] or ['{', .., '}'])
        {
            var items = value[1..^1].Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
            var sorted = value[0] == '[' ? items.OrderBy(BeginOf).ThenBy(x => x, StringComparer.Ordinal) : items.OrderBy(x => x, StringComparer.Ordinal);
            return $"{value[0]}{string.Join(',', sorted)}{value[^1]}";
        }
        return value;
    }

    private static long BeginOf(string range) =>
        long.TryParse(range.AsSpan(0, range.IndexOf('-', StringComparison.Ordinal) is > 0 and var dash ? dash : range.Length), NumberStyles.Integer, CultureInfo.InvariantCulture, out var begin)
            ? begin : long.MaxValue;

    [GeneratedRegex(@"^-?\d{1,15}(\.\d{1,12})?\z")]
    private static partial Regex Scalar();

    [GeneratedRegex(@"^[a-zA-Z0-9_/.-]+\z")]
    private static partial Regex IsValue();
}
