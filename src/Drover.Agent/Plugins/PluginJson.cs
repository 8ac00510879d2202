using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Drover.Agent.Plugins;

public sealed record Activation(IReadOnlyList<string> Implements);

public sealed record PluginError(string Err);

/// <summary>Names on this wire are Go's field names, as the properties here are called.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Activation))]
[JsonSerializable(typeof(PluginError))]
public sealed partial class PluginJson : JsonSerializerContext;

public static class PluginAnswers
{
    public static PluginAnswer Ok<T>(T value, JsonTypeInfo<T> type) => new(200, JsonSerializer.SerializeToUtf8Bytes(value, type));

    public static PluginAnswer Refused(string message, int status = 400) => new(status, JsonSerializer.SerializeToUtf8Bytes(new PluginError(message), PluginJson.Default.PluginError));

    /// <summary>Null when the body is empty: a call that is sent again after a broken connection may have lost it.</summary>
    /// <exception cref="JsonException">Not JSON of this type.</exception>
    public static T? Read<T>(ReadOnlyMemory<byte> body, JsonTypeInfo<T> type) where T : class => body.IsEmpty ? null : JsonSerializer.Deserialize(body.Span, type);
}
