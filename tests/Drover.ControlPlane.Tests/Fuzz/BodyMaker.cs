using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace Drover.ControlPlane.Tests.Fuzz;

/// <summary>Bodies from a schema: right ones, and what becomes of them when one thing or another is wrong.</summary>
internal sealed class BodyMaker(Random chance)
{
    private static readonly string[] Odd = ["", " ", "/", "//", "../..", "\0", "\u202e", "a b", "é", "💥", "-1", "1e999", "null", "true", "%2F", "{}", "[]", "𝔞", "0", "/a/b/c", "app", "2015-09-25T15:13:48.343Z"];

    /// <summary>A value the schema allows, more or less.</summary>
    public JsonNode? Value(JsonNode? schema, int depth = 0)
    {
        if (schema is not JsonObject fields || depth > 6) return chance.Next(3) == 0 ? null : JsonValue.Create(chance.Next(9));
        var type = fields["type"] switch { JsonArray many => many[0]!.GetValue<string>(), JsonValue one => one.GetValue<string>(), _ => "" };
        switch (type)
        {
            case "object":
                var made = new JsonObject();
                foreach (var (name, of) in fields["properties"] as JsonObject ?? []) if (chance.Next(3) == 0) made[name] = Value(of, depth + 1);
                if (fields["additionalProperties"] is JsonObject values) made[Text()] = Value(values, depth + 1);
                return made;
            case "array":
                return new JsonArray([.. Enumerable.Range(0, chance.Next(3)).Select(_ => Value(fields["items"], depth + 1))]);
            case "integer": return JsonValue.Create(chance.Next(5) == 0 ? int.MaxValue : chance.Next(-2, 70_000));
            case "number": return JsonValue.Create(chance.NextDouble() * 10 - 1);
            case "boolean": return JsonValue.Create(chance.Next(2) == 0);
            default: return JsonValue.Create(Text());
        }
    }

    /// <summary>The bytes of a body with something wrong, or nothing.</summary>
    public byte[] Bytes(JsonNode? schema)
    {
        var value = Value(schema);
        for (var i = chance.Next(3); i > 0; i--) value = Mutated(value);
        var bytes = Encoding.UTF8.GetBytes(value?.ToJsonString() ?? "null");
        return chance.Next(12) switch
        {
            0 => bytes[..chance.Next(bytes.Length + 1)],
            1 => [.. bytes.Select(b => chance.Next(20) == 0 ? (byte)chance.Next(256) : b)],
            2 => [.. bytes, 0xff, 0xfe],
            3 => Encoding.UTF8.GetBytes(new string('[', chance.Next(1, 5_000))),
            4 => Encoding.UTF8.GetBytes($"{{\"id\":\"\\ud800\",\"a\":{new string('9', chance.Next(1, 400))}}}"),
            5 => Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{{\"id\":1e{chance.Next(1_000)},\"id\":\"x\",\"id\":\"/y\"}}")),
            _ => bytes,
        };
    }

    public string Text() => chance.Next(6) == 0 ? new string((char)chance.Next(32, 0x2fff), chance.Next(1, 3_000)) : Odd[chance.Next(Odd.Length)];

    private JsonNode? Mutated(JsonNode? node)
    {
        if (node is JsonObject { Count: > 0 } fields && chance.Next(4) > 0)
        {
            var name = fields.ElementAt(chance.Next(fields.Count)).Key;
            var old = fields[name];
            fields.Remove(name);
            fields[name] = Mutated(old);
            return fields;
        }
        return chance.Next(8) switch
        {
            0 => null,
            1 => JsonValue.Create(Text()),
            2 => JsonValue.Create(-chance.NextDouble() * 1e300),
            3 => JsonValue.Create(true),
            4 => new JsonArray([.. Enumerable.Range(0, chance.Next(50)).Select(_ => JsonValue.Create(Text()))]),
            5 => Deep(chance.Next(1, 80)),
            6 => new JsonObject { [Text()] = JsonValue.Create(Text()) },
            _ => JsonValue.Create(long.MaxValue),
        };
    }

    private static JsonNode Deep(int levels)
    {
        JsonNode node = JsonValue.Create(0);
        for (var i = 0; i < levels; i++) node = i % 2 == 0 ? new JsonArray(node) : new JsonObject { ["a"] = node };
        return node;
    }
}
