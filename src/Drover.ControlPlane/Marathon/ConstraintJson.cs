using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Drover.Core;
using Drover.Core.Apps;

namespace Drover.ControlPlane.Marathon;

/// <summary>`constraints`: lists of two or three strings, `[field, operator, value?]`.</summary>
/// <remarks>Messages are those of Marathon's SchedulingValidationMessages, each with its remedy where it has none.</remarks>
public static partial class ConstraintJson
{
    public const string Operators = "operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS";

    [GeneratedRegex(@"^[a-zA-Z0-9_/.-]*\z")]
    private static partial Regex IsValue();

    public static EquatableList<Constraint>? Read(JsonFields fields)
    {
        if (fields.Array("constraints") is not { } items) return null;
        var constraints = new List<Constraint>(items.Count);
        foreach (var (value, path) in items)
        {
            if (One(value, path, fields.Violations) is { } constraint) constraints.Add(constraint);
        }
        return constraints.ToEquatableList();
    }

    internal static Constraint? One(JsonElement value, string path, Violations faults)
    {
        if (value.ValueKind != JsonValueKind.Array)
        {
            faults.WrongType(path, "error.expected.jsarray", $"must be a list such as [\"disk\", \"CLUSTER\", \"ssd\"]; it was {JsonFields.Described(value)}");
            return null;
        }
        if (value.GetArrayLength() is < 2 or > 3)
        {
            faults.Rule(path, "Each constraint must have either 2 or 3 fields, such as [\"disk\", \"CLUSTER\", \"ssd\"]");
            return null;
        }
        var parts = new List<string?>(3);
        foreach (var part in value.EnumerateArray())
        {
            var at = $"{path}({parts.Count})";
            // The value of GROUP_BY and MAX_PER is a number in many files.
            if (part.ValueKind == JsonValueKind.Null) parts.Add(null);
            else parts.Add(parts.Count == 2 && part.ValueKind == JsonValueKind.Number ? part.GetRawText() : JsonFields.StringOf(part, at, faults));
        }
        if (parts[0] is not { } field || parts[1] is not { } op) return null;
        if (field.Length == 0) faults.Rule($"{path}(0)", "must name what to compare: hostname, or an attribute of the nodes");
        return Rule(field, op, parts.Count == 3 ? parts[2] : null, path, faults);
    }

    private static Constraint? Rule(string field, string op, string? value, string path, Violations faults)
    {
        ConstraintOperator? parsed = op.ToUpperInvariant() switch
        {
            "UNIQUE" => ConstraintOperator.Unique,
            "CLUSTER" => ConstraintOperator.Cluster,
            "GROUP_BY" => ConstraintOperator.GroupBy,
            "LIKE" => ConstraintOperator.Like,
            "UNLIKE" => ConstraintOperator.Unlike,
            "MAX_PER" => ConstraintOperator.MaxPer,
            "IS" => ConstraintOperator.Is,
            _ => null,
        };
        if (parsed is not { } known)
        {
            faults.Rule(path, $"{Operators}; it was '{op}'");
            return null;
        }
        // An empty third string is what forms send for none.
        if (value is "" && known is (ConstraintOperator.Unique or ConstraintOperator.Cluster or ConstraintOperator.GroupBy)) value = null;
        var fault = known switch
        {
            ConstraintOperator.Unique when value is not null => "UNIQUE does not accept a value; take the third string out",
            ConstraintOperator.GroupBy when value is not null && !Count(value) => "GROUP_BY may have an optional integer value of 1 or more",
            ConstraintOperator.MaxPer when value is null || !Count(value) => "MAX_PER requires an integer value",
            ConstraintOperator.Like or ConstraintOperator.Unlike when string.IsNullOrEmpty(value) => "LIKE and UNLIKE require a non-empty, regular expression value",
            ConstraintOperator.Like or ConstraintOperator.Unlike when RegexFault(value!) is { } why => $"'{value}' is not a valid regular expression: {why}",
            ConstraintOperator.Is when value is null || !IsValue().IsMatch(value) => "IS requires a value of letters, digits and _ / . -",
            _ => null,
        };
        if (fault is null) return new(field, known, value);
        faults.Rule(path, fault);
        return null;
    }

    private static bool Count(string value) => int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count >= 1;

    private static string? RegexFault(string value)
    {
        try
        {
            _ = new Regex(value, RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
            return null;
        }
        catch (ArgumentException fault) { return fault.Message; }
        catch (NotSupportedException) { return "look-around and back references are not taken, since they cannot be matched in bounded time"; }
    }
}
