using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Groups;
using Drover.Core.Moves;
using Drover.Core.Networks;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.ControlPlane.Store;

/// <summary>How the cluster's state lies in the store: one key a thing, `kind/id` with the id percent-encoded (`apps/%2Fmongo`), the value in JSON.</summary>
public static class ClusterSchema
{
    /// <summary>Every kind there is. Other keys in the store are not the cluster's state.</summary>
    public static readonly IReadOnlyList<string> Prefixes = ["nodes/", "apps/", "instances/", "deployments/", "volumes/", "moves/", "networks/", "operations/", "versions/", "groups/"];

    public static string KeyOf(ClusterChange change) => change switch
    {
        ClusterChange.PutNode(var node) => Key("nodes", node.Id.Value),
        ClusterChange.RemoveNode(var id) => Key("nodes", id.Value),
        ClusterChange.PutApp(var app) => Key("apps", app.Id.Value),
        ClusterChange.RemoveApp(var id) => Key("apps", id.Value),
        ClusterChange.PutFormerApp(var former) => Key("versions", VersionKey(former.App.Id, former.App.Version)),
        ClusterChange.RemoveFormerApp(var id, var version) => Key("versions", VersionKey(id, version)),
        ClusterChange.PutGroup(var group) => Key("groups", group.Id.Value),
        ClusterChange.RemoveGroup(var id) => Key("groups", id.Value),
        ClusterChange.PutInstance(var instance) => Key("instances", instance.Id.Value),
        ClusterChange.RemoveInstance(var id) => Key("instances", id.Value),
        ClusterChange.PutDeployment(var deployment) => Key("deployments", deployment.Id.Value),
        ClusterChange.RemoveDeployment(var id) => Key("deployments", id.Value),
        ClusterChange.PutVolume(var volume) => Key("volumes", volume.Name.Value),
        ClusterChange.RemoveVolume(var name) => Key("volumes", name.Value),
        ClusterChange.PutMove(var move) => Key("moves", move.Id.Value),
        ClusterChange.RemoveMove(var id) => Key("moves", id.Value),
        ClusterChange.PutNetwork(var network) => Key("networks", network.Name.Value),
        ClusterChange.RemoveNetwork(var name) => Key("networks", name.Value),
        ClusterChange.PutOperation(var operation) => Key("operations", operation.Id.Value),
        ClusterChange.RemoveOperation(var id) => Key("operations", id.Value),
        _ => throw new UnreachableException($"{change.GetType().Name} is not stored"),
    };

    /// <summary>The bytes to store; null: the key goes.</summary>
    public static ReadOnlyMemory<byte>? ValueOf(ClusterChange change) => change switch
    {
        ClusterChange.PutNode(var node) => Bytes(node, StoredJson.Default.Node),
        ClusterChange.PutApp(var app) => Bytes(app, StoredJson.Default.App),
        ClusterChange.PutFormerApp(var former) => Bytes(former, StoredJson.Default.FormerApp),
        ClusterChange.PutGroup(var group) => Bytes(group, StoredJson.Default.AppGroup),
        ClusterChange.PutInstance(var instance) => Bytes(instance, StoredJson.Default.Instance),
        ClusterChange.PutDeployment(var deployment) => Bytes(deployment, StoredJson.Default.Deployment),
        ClusterChange.PutVolume(var volume) => Bytes(volume, StoredJson.Default.Volume),
        ClusterChange.PutMove(var move) => Bytes(move, StoredJson.Default.Move),
        ClusterChange.PutNetwork(var network) => Bytes(network, StoredJson.Default.Network),
        ClusterChange.PutOperation(var operation) => Bytes(operation, StoredJson.Default.VolumeOperation),
        _ => default(ReadOnlyMemory<byte>?),
    };

    /// <summary>The change that puts a stored entry back into the state.</summary>
    public static ClusterChange Read(StoredEntry entry)
    {
        try
        {
            return entry.Key[..(entry.Key.IndexOf('/', StringComparison.Ordinal) + 1)] switch
            {
                "nodes/" => new ClusterChange.PutNode(Value(entry, StoredJson.Default.Node)),
                "apps/" => new ClusterChange.PutApp(Value(entry, StoredJson.Default.App)),
                "versions/" => new ClusterChange.PutFormerApp(Value(entry, StoredJson.Default.FormerApp)),
                "groups/" => new ClusterChange.PutGroup(Value(entry, StoredJson.Default.AppGroup)),
                "instances/" => new ClusterChange.PutInstance(Value(entry, StoredJson.Default.Instance)),
                "deployments/" => new ClusterChange.PutDeployment(Value(entry, StoredJson.Default.Deployment)),
                "volumes/" => new ClusterChange.PutVolume(Value(entry, StoredJson.Default.Volume)),
                "moves/" => new ClusterChange.PutMove(Value(entry, StoredJson.Default.Move)),
                "networks/" => new ClusterChange.PutNetwork(Value(entry, StoredJson.Default.Network)),
                "operations/" => new ClusterChange.PutOperation(Value(entry, StoredJson.Default.VolumeOperation)),
                _ => throw new JsonException("its kind is not known"),
            };
        }
        catch (JsonException e)
        {
            throw Damaged(entry.Key, e);
        }
    }

    private static string VersionKey(AppId app, DateTimeOffset version) => $"{app.Value} {version.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", System.Globalization.CultureInfo.InvariantCulture)}";

    internal static InvalidDataException Damaged(string key, JsonException e) => new(
        $"The stored entry '{key}' cannot be read: {e.Message} The data folder was written by another version or is damaged: start the version that wrote it, or restore a backup of drover.db.", e);

    private static string Key(string kind, string id) => $"{kind}/{Uri.EscapeDataString(id)}";

    private static ReadOnlyMemory<byte> Bytes<T>(T value, JsonTypeInfo<T> type) => JsonSerializer.SerializeToUtf8Bytes(value, type);

    private static T Value<T>(StoredEntry entry, JsonTypeInfo<T> type) =>
        JsonSerializer.Deserialize(entry.Value.Span, type) ?? throw new JsonException("it is empty");
}

// Elements of EquatableList are named here since its converter asks the context for them. Every property is written, also defaults: a later default must not change what was stored.
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true, IgnoreReadOnlyProperties = true, DefaultIgnoreCondition = JsonIgnoreCondition.Never)]
[JsonSerializable(typeof(Node)), JsonSerializable(typeof(App)), JsonSerializable(typeof(AppSpec)), JsonSerializable(typeof(Instance)), JsonSerializable(typeof(Deployment))]
[JsonSerializable(typeof(Volume)), JsonSerializable(typeof(Move)), JsonSerializable(typeof(Network))]
[JsonSerializable(typeof(string)), JsonSerializable(typeof(int)), JsonSerializable(typeof(AppId)), JsonSerializable(typeof(NodeAttribute)), JsonSerializable(typeof(PortRange))]
[JsonSerializable(typeof(Constraint)), JsonSerializable(typeof(EnvVar)), JsonSerializable(typeof(Label)), JsonSerializable(typeof(PortDefinition)), JsonSerializable(typeof(PortMapping))]
[JsonSerializable(typeof(Mount)), JsonSerializable(typeof(DockerParameter)), JsonSerializable(typeof(HealthCheck)), JsonSerializable(typeof(HealthResult))]
[JsonSerializable(typeof(ReadinessCheck)), JsonSerializable(typeof(ReadinessResult))]
[JsonSerializable(typeof(DeploymentStep)), JsonSerializable(typeof(DeploymentAction)), JsonSerializable(typeof(Standby)), JsonSerializable(typeof(Fork)), JsonSerializable(typeof(AddressLease))]
[JsonSerializable(typeof(SnapshotName)), JsonSerializable(typeof(MovedVolume)), JsonSerializable(typeof(MoveTransition)), JsonSerializable(typeof(Round))]
[JsonSerializable(typeof(Preference)), JsonSerializable(typeof(Apart))]
[JsonSerializable(typeof(FormerApp)), JsonSerializable(typeof(AppGroup)), JsonSerializable(typeof(AppBefore)), JsonSerializable(typeof(GroupBefore))]
[JsonSerializable(typeof(VolumeOperation)), JsonSerializable(typeof(VolumeSnapshot)), JsonSerializable(typeof(NodeId))]
internal sealed partial class StoredJson : JsonSerializerContext;
