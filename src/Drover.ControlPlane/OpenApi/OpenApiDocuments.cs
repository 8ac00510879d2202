using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization.Metadata;
using System.Text.RegularExpressions;
using Drover.Contracts.Api;
using Drover.ControlPlane.Access;
using Drover.ControlPlane.Marathon;

namespace Drover.ControlPlane.OpenApi;

/// <summary>Descriptions of the two APIs in OpenAPI 3.1, from the tables of operations, the types they read and write, and the table of roles.</summary>
public static partial class OpenApiDocuments
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly Lazy<string> OwnText = new(() => Text("Drover", "Drover's own API", OwnApi.Operations, ApiJson.Default.ErrorView));
    private static readonly Lazy<string> MarathonText = new(() => Text("Drover, Marathon's API", $"Marathon's API as of {InfoViews.SpeaksVersion}, as docs/marathon.md says it differs", MarathonApi.Operations, ShapeJson.Default.MessageShape));

    /// <summary>/api/v1</summary>
    public static string Own => OwnText.Value;

    /// <summary>/v2</summary>
    public static string Marathon => MarathonText.Value;

    public static readonly IReadOnlyList<(string File, Func<string> Text)> Files = [("api-v1.json", () => Own), ("marathon-v2.json", () => Marathon)];

    /// <summary>`drover-control openapi DIR`</summary>
    public static void Write(string folder)
    {
        Directory.CreateDirectory(folder);
        // Made from the program: what was there is an older one of the same.
        foreach (var (file, text) in Files) File.WriteAllText(Path.Combine(folder, file), text());
    }

    /// <summary>A body's schema by itself, as the document has it.</summary>
    public static JsonNode Schema(JsonTypeInfo type)
    {
        var schema = type.GetJsonSchemaAsNode(new JsonSchemaExporterOptions { TreatNullObliviousAsNonNullable = true });
        return schema is JsonObject ? schema : new JsonObject();
    }

    private static string Text(string title, string description, IReadOnlyList<ApiOperation> operations, JsonTypeInfo refusal)
    {
        var schemas = new SortedDictionary<string, JsonNode>(StringComparer.Ordinal);
        var paths = new JsonObject();
        foreach (var group in operations.GroupBy(o => o.Path).OrderBy(g => g.Key, StringComparer.Ordinal))
        {
            var item = new JsonObject();
            foreach (var operation in group) item[operation.Method.ToLowerInvariant()] = Described(operation, schemas, refusal);
            paths[group.Key] = item;
        }
        var document = new JsonObject
        {
            ["openapi"] = "3.1.0",
            ["info"] = new JsonObject { ["title"] = title, ["description"] = description, ["version"] = InfoViews.OwnVersion },
            ["security"] = new JsonArray(new JsonObject { ["token"] = new JsonArray() }),
            ["paths"] = paths,
            ["components"] = new JsonObject
            {
                ["securitySchemes"] = new JsonObject { ["token"] = new JsonObject { ["type"] = "http", ["scheme"] = "bearer" } },
                ["schemas"] = new JsonObject(schemas.Select(s => KeyValuePair.Create<string, JsonNode?>(s.Key, s.Value))),
            },
        };
        return document.ToJsonString(Indented) + "\n";
    }

    private static JsonObject Described(ApiOperation operation, SortedDictionary<string, JsonNode> schemas, JsonTypeInfo refusal)
    {
        var described = new JsonObject { ["summary"] = operation.Summary };
        // What the door's keeper asks for; nothing where it asks nobody.
        if (RouteTable.Least(operation.Method, operation.Path) is { } role) described["x-role"] = role.ToString().ToLowerInvariant();
        else described["security"] = new JsonArray();
        var parameters = Parameters(operation);
        if (parameters.Count > 0) described["parameters"] = parameters;
        if (operation.Body is { } body)
        {
            var schema = Reference(body, schemas);
            if (operation.Many) schema = new JsonObject { ["type"] = "array", ["items"] = schema };
            described["requestBody"] = new JsonObject { ["required"] = true, ["content"] = new JsonObject { ["application/json"] = new JsonObject { ["schema"] = schema } } };
        }
        var responses = new JsonObject { [Code(operation.Status)] = Response(operation.Status < 300 ? "Done" : "Refused", operation.Status == 204 ? null : operation.Media, operation.Answer is { } answer ? Reference(answer, schemas) : null) };
        foreach (var code in operation.Refusals ?? []) responses[Code(code)] = Response("Refused; nothing changed", "application/json", Reference(refusal, schemas));
        described["responses"] = responses;
        return described;
    }

    private static JsonArray Parameters(ApiOperation operation)
    {
        var parameters = new JsonArray();
        foreach (Match name in Placeholder().Matches(operation.Path))
            parameters.Add(new JsonObject { ["name"] = name.Groups[1].Value, ["in"] = "path", ["required"] = true, ["schema"] = new JsonObject { ["type"] = "string" } });
        foreach (var query in operation.Query ?? [])
        {
            var at = query.IndexOf(": ", StringComparison.Ordinal);
            parameters.Add(new JsonObject { ["name"] = query[..at], ["in"] = "query", ["description"] = query[(at + 2)..], ["schema"] = new JsonObject { ["type"] = "string" } });
        }
        return parameters;
    }

    private static JsonObject Response(string words, string? media, JsonNode? schema)
    {
        var response = new JsonObject { ["description"] = words };
        if (media is not null) response["content"] = new JsonObject { [media] = schema is null ? new JsonObject() : new JsonObject { ["schema"] = schema } };
        return response;
    }

    private static JsonObject Reference(JsonTypeInfo type, SortedDictionary<string, JsonNode> schemas)
    {
        var name = type.Type.IsArray ? $"{type.Type.GetElementType()!.Name}List" : type.Type.Name;
        if (!schemas.ContainsKey(name)) schemas[name] = Rebased(Schema(type), $"#/components/schemas/{name}");
        return new JsonObject { ["$ref"] = $"#/components/schemas/{name}" };
    }

    /// <summary>References within a schema begin at its own root; in the document it has a place.</summary>
    private static JsonNode Rebased(JsonNode node, string root)
    {
        switch (node)
        {
            case JsonObject fields:
                foreach (var (name, value) in fields.ToList())
                {
                    if (name == "$ref" && value is JsonValue text && text.TryGetValue<string>(out var reference) && reference.StartsWith('#')) fields[name] = root + reference[1..];
                    else if (value is not null) Rebased(value, root);
                }
                break;
            case JsonArray items:
                foreach (var item in items.OfType<JsonNode>()) Rebased(item, root);
                break;
        }
        return node;
    }

    private static string Code(int status) => status.ToString(CultureInfo.InvariantCulture);

    [GeneratedRegex(@"\{([a-z]+)\}")]
    private static partial Regex Placeholder();
}
