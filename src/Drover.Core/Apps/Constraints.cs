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
    public static string? Refusal(Constraint constraint, Node node, IReadOnlyList<Node> placed) => Refusal(constraint, node, Spread.Of(constraint.Field, placed));

    internal static string? Refusal(Constraint constraint, Node node, Spread placed)
    {
        var value = ValueOf(node, constraint.Field);
        if (Meets(constraint, value, placed)) return null;
        var label = $"[{constraint.Field}, {Name(constraint.Operator)}{(constraint.Value is { } v ? $", {v}" : "")}]";
        return $"{label} not met: {(value is null ? $"the node has no {constraint.Field}" : Reason(constraint, value, placed))}";
    }

    /// <param name="value">The field's, on the node that is asked about; null: it has none.</param>
    internal static bool Meets(Constraint constraint, string? value, Spread placed) => (constraint.Operator, value) switch
    {
        (ConstraintOperator.Unlike, null) => true,
        (_, null) => false,
        (ConstraintOperator.Unique, _) => placed.Count(value) == 0,
        (ConstraintOperator.Cluster, _) when !string.IsNullOrEmpty(constraint.Value) => value == constraint.Value,
        (ConstraintOperator.Cluster, _) => placed.IsEmpty || placed.First == value,
        // A value not used yet is always taken.
        (ConstraintOperator.GroupBy, _) => placed.Count(value) == 0 || (placed.Groups >= Number(constraint) && placed.Count(value) == placed.Smallest),
        (ConstraintOperator.Like, _) => Matches(constraint.Value, value) == true,
        (ConstraintOperator.Unlike, _) => Matches(constraint.Value, value) == false,
        (ConstraintOperator.MaxPer, _) => placed.Count(value) < Number(constraint),
        _ => value == Rendered(constraint.Value ?? ""),
    };

    /// <summary>It asks for something of the node alone, whatever runs where.</summary>
    internal static bool IsOfNode(Constraint constraint) => constraint.Operator is ConstraintOperator.Like or ConstraintOperator.Unlike or ConstraintOperator.Is
        || (constraint.Operator == ConstraintOperator.Cluster && !string.IsNullOrEmpty(constraint.Value));

    private static string Reason(Constraint constraint, string value, Spread placed) => constraint.Operator switch
    {
        ConstraintOperator.Unique => $"a copy already runs where {constraint.Field} is {value}",
        ConstraintOperator.Cluster when string.IsNullOrEmpty(constraint.Value) => $"the first copy runs where {constraint.Field} is {placed.First ?? "not set"}, here it is {value}",
        ConstraintOperator.GroupBy when placed.Groups < Number(constraint) => $"{placed.Groups} of {Number(constraint)} values of {constraint.Field} are in use; the next copy needs another one than {value}",
        ConstraintOperator.GroupBy => $"{value} has {placed.Count(value)} copies, another {constraint.Field} has {placed.Smallest}",
        ConstraintOperator.Like or ConstraintOperator.Unlike => LikeReason(constraint, value),
        ConstraintOperator.MaxPer => $"{placed.Count(value)} of at most {Number(constraint)} copies run where {constraint.Field} is {value}",
        _ => $"{constraint.Field} is {value}",
    };

    private static int Number(Constraint constraint) => int.TryParse(constraint.Value, NumberStyles.Integer, CultureInfo.InvariantCulture, out var n) ? n : 0;

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

    private static string LikeReason(Constraint constraint, string value)
    {
        try
        {
            _ = WholeMatch(constraint.Value ?? "").IsMatch(value);
            return $"{value} {(constraint.Operator == ConstraintOperator.Like ? "does not match" : "matches")}";
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

    /// <summary>Null: it cannot be said, and then neither a like nor an unlike is met.</summary>
    private static bool? Matches(string? pattern, string value)
    {
        try
        {
            return WholeMatch(pattern ?? "").IsMatch(value);
        }
        catch (Exception e) when (e is RegexMatchTimeoutException or ArgumentException)
        {
            return null;
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
