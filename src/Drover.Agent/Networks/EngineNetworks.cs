using System.Text.Json.Serialization;

namespace Drover.Agent.Networks;

/// <summary>The part of the Engine API (version 1.41) about networks that is used here; field names as on its wire.</summary>
public sealed record EngineNetwork(
    string Name, string Id, string Driver, [property: JsonPropertyName("IPAM")] EngineIpam? Ipam, Dictionary<string, string>? Options, Dictionary<string, EngineContainer>? Containers,
    DateTimeOffset Created = default);

public sealed record EngineContainer(string? Name);

public sealed record EngineIpam(string? Driver, IReadOnlyList<EnginePool>? Config);

public sealed record EnginePool(string? Subnet);

public sealed record EngineNetworkCreate(
    string Name, bool CheckDuplicate, string Driver, [property: JsonPropertyName("IPAM")] EngineIpam Ipam, Dictionary<string, string> Options, Dictionary<string, string> Labels);

public sealed record EngineCreated(string Id);

public sealed record EngineError([property: JsonPropertyName("message")] string? Message);

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(EngineNetwork))]
[JsonSerializable(typeof(IReadOnlyList<EngineNetwork>))]
[JsonSerializable(typeof(EngineNetworkCreate))]
[JsonSerializable(typeof(EngineCreated))]
[JsonSerializable(typeof(EngineError))]
public sealed partial class EngineJson : JsonSerializerContext;
