using System.Globalization;
using System.Text.Json;
using Drover.Core;

namespace Drover.ControlPlane.Marathon;

/// <summary>The fields of one JSON object of an input. null and absent are the same; numbers may come as strings (2015 clients send both);
/// a wrong type is noted under its path and read as absent, so that reading goes on.</summary>
public readonly struct JsonFields(JsonElement element, string path, Violations violations)
{
    public const int MaxItems = 10_000;

    public string Path => path.Length == 0 ? "/" : path;
    public Violations Violations => violations;
    public string At(string name) => $"{path}/{name}";

    public bool Has(string name) => Find(name) is not null;

    public bool IsEmpty(string name) => Find(name) is not { } value || value.ValueKind switch
    {
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => !value.EnumerateObject().Any(),
        JsonValueKind.String => TextOf(value)?.Length == 0,
        JsonValueKind.False => true,
        _ => false,
    };

    public string? String(string name) => Find(name) is { } value ? StringOf(value, At(name), violations) : null;

    public double? Number(string name)
    {
        if (Find(name) is not { } value) return null;
        if (NumberOf(value) is { } number) return number;
        violations.WrongType(At(name), "error.expected.jsnumber", $"must be a number; it was {Described(value)}");
        return null;
    }

    public int? Integer(string name)
    {
        if (Find(name) is not { } value) return null;
        if (NumberOf(value) is { } number && number == Math.Floor(number) && number is >= int.MinValue and <= int.MaxValue) return (int)number;
        violations.WrongType(At(name), "error.expected.jsnumber", $"must be a whole number; it was {Described(value)}");
        return null;
    }

    public bool? Boolean(string name)
    {
        if (Find(name) is not { } value) return null;
        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False) return value.GetBoolean();
        if (value.ValueKind == JsonValueKind.String && bool.TryParse(TextOf(value), out var parsed)) return parsed;
        violations.WrongType(At(name), "error.expected.jsboolean", $"must be true or false; it was {Described(value)}");
        return null;
    }

    public JsonFields? Object(string name)
    {
        if (Find(name) is not { } value) return null;
        if (value.ValueKind == JsonValueKind.Object) return new(value, At(name), violations);
        violations.WrongType(At(name), "error.expected.jsobject", $"must be an object; it was {Described(value)}");
        return null;
    }

    /// <summary>Elements with their paths; null where the field is absent.</summary>
    public List<(JsonElement Value, string Path)>? Array(string name)
    {
        if (Find(name) is not { } value) return null;
        if (value.ValueKind == JsonValueKind.Array)
        {
            if (value.GetArrayLength() <= MaxItems)
            {
                var at = At(name);
                return [.. value.EnumerateArray().Select((item, index) => (item, $"{at}({index})"))];
            }
            violations.Rule(At(name), $"holds {value.GetArrayLength()} items; at most {MaxItems} are taken");
            return null;
        }
        violations.WrongType(At(name), "error.expected.jsarray", $"must be a list; it was {Described(value)}");
        return null;
    }

    public List<JsonFields>? Objects(string name)
    {
        if (Array(name) is not { } items) return null;
        var objects = new List<JsonFields>(items.Count);
        foreach (var (value, at) in items)
        {
            if (value.ValueKind == JsonValueKind.Object) objects.Add(new(value, at, violations));
            else violations.WrongType(at, "error.expected.jsobject", $"must be an object; it was {Described(value)}");
        }
        return objects;
    }

    public EquatableList<string>? Strings(string name)
    {
        if (Array(name) is not { } items) return null;
        var faults = violations;
        return items.Select(item => StringOf(item.Value, item.Path, faults)).OfType<string>().ToEquatableList();
    }

    /// <summary>An object of strings (`env`, `labels`), in the order of the input.</summary>
    public List<KeyValuePair<string, string>>? Map(string name, string objectRemedy)
    {
        if (Object(name) is not { } map) return null;
        var result = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var field in map.Element.EnumerateObject().Take(MaxItems))
        {
            if (TextOf(field) is not { } key) violations.WrongType(At(name), "error.expected.jsstring", "a name in it is no valid Unicode text");
            else if (field.Value.ValueKind == JsonValueKind.Object) violations.Rule($"{At(name)}/{key}", objectRemedy);
            else if (StringOf(field.Value, $"{At(name)}/{key}", violations) is { } text) result[key] = text;
        }
        return [.. result];
    }

    public JsonElement Element => element;

    public static string? StringOf(JsonElement value, string at, Violations violations)
    {
        if (value.ValueKind == JsonValueKind.String && TextOf(value) is { } text && !text.Contains('\0', StringComparison.Ordinal)) return text;
        var remedy = value.ValueKind == JsonValueKind.String ? "must be Unicode text without NUL characters" : $"must be a string in double quotes; it was {Described(value)}";
        violations.WrongType(at, "error.expected.jsstring", remedy);
        return null;
    }

    /// <summary>null where the escapes do not make Unicode text (half of a surrogate pair).</summary>
    public static string? TextOf(JsonElement value)
    {
        try { return value.GetString(); }
        catch (InvalidOperationException) { return null; }
    }

    /// <summary>A field's name; null where it is no Unicode text.</summary>
    public static string? TextOf(JsonProperty field)
    {
        try { return field.Name; }
        catch (InvalidOperationException) { return null; }
    }

    private static double? NumberOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Number when value.TryGetDouble(out var number) && double.IsFinite(number) => number,
        JsonValueKind.String when double.TryParse(TextOf(value), NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) => number,
        _ => null,
    };

    public static string Described(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => "a list",
        JsonValueKind.Object => "an object",
        JsonValueKind.Number => $"the number {Shortened(value.GetRawText())}",
        JsonValueKind.String => $"the string {Shortened(value.GetRawText())}",
        _ => value.GetRawText(),
    };

    private static string Shortened(string text) => text.Length <= 60 ? text : text[..60] + "…";

    private JsonElement? Find(string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined) ? value : null;
}
