using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Drover.Core;

/// <summary>An id that is a string on every wire. One type per kind, so that ids cannot be confused.</summary>
public interface IStringId<TSelf> where TSelf : struct, IStringId<TSelf>
{
    string Value { get; }

    static abstract TSelf Of(string value);
}

/// <summary>Writes an id as its bare string, also as a dictionary key.</summary>
public sealed class StringIdConverter<TId> : JsonConverter<TId> where TId : struct, IStringId<TId>
{
    public override TId Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        TId.Of(reader.GetString() ?? throw new JsonException($"{typeof(TId).Name} must be a string"));

    public override void Write(Utf8JsonWriter writer, TId value, JsonSerializerOptions options) => writer.WriteStringValue(value.Value);

    public override TId ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        TId.Of(reader.GetString() ?? throw new JsonException($"{typeof(TId).Name} must be a string"));

    public override void WriteAsPropertyName(Utf8JsonWriter writer, [DisallowNull] TId value, JsonSerializerOptions options) =>
        writer.WritePropertyName(value.Value);
}

/// <summary>A machine with an agent, by the name it joined with (`node1`).</summary>
[JsonConverter(typeof(StringIdConverter<NodeId>))]
public readonly record struct NodeId(string Value) : IStringId<NodeId>, IComparable<NodeId>
{
    public static NodeId Of(string value) => new(value);
    public int CompareTo(NodeId other) => string.CompareOrdinal(Value, other.Value);
    public override string ToString() => Value;
}

/// <summary>Absolute path of an app, always with a leading slash (`/mongo`, `/shop/db`).</summary>
[JsonConverter(typeof(StringIdConverter<AppId>))]
public readonly record struct AppId(string Value) : IStringId<AppId>, IComparable<AppId>
{
    public static AppId Of(string value) => new(value);
    public int CompareTo(AppId other) => string.CompareOrdinal(Value, other.Value);

    /// <summary>The form used inside task ids and container names: `/shop/db` → `shop_db`.</summary>
    public string SafePath => Value.TrimStart('/').Replace('/', '_');
    public override string ToString() => Value;
}

/// <summary>Absolute path of a group of apps: `/` for the root, `/shop` for what is under it.</summary>
[JsonConverter(typeof(StringIdConverter<GroupId>))]
public readonly record struct GroupId(string Value) : IStringId<GroupId>, IComparable<GroupId>
{
    public static readonly GroupId Root = new("/");
    public static GroupId Of(string value) => new(value);
    public int CompareTo(GroupId other) => string.CompareOrdinal(Value, other.Value);
    public bool IsRoot => Value == "/";

    /// <summary>What every path inside begins with: `/shop/`.</summary>
    public string Prefix => IsRoot ? "/" : Value + "/";

    public bool Holds(string path) => path.StartsWith(Prefix, StringComparison.Ordinal) && path.Length > Prefix.Length;

    /// <summary>The group this path lies in; the root is its own.</summary>
    public GroupId Parent => ParentOf(Value);
    public static GroupId ParentOf(string path) => path.LastIndexOf('/') is > 0 and var at ? new(path[..at]) : Root;
    public override string ToString() => Value;
}

/// <summary>One copy of an app over its whole life, moves included: `mongo.instance-8f…`.</summary>
[JsonConverter(typeof(StringIdConverter<InstanceId>))]
public readonly record struct InstanceId(string Value) : IStringId<InstanceId>, IComparable<InstanceId>
{
    public static InstanceId Of(string value) => new(value);
    public int CompareTo(InstanceId other) => string.CompareOrdinal(Value, other.Value);

    /// <summary>The task id of one incarnation, in Marathon's form (1.8 and later): `mongo.instance-8f…._app.2`.</summary>
    public TaskId Task(int incarnation) => new($"{Value}._app.{incarnation}");
    public override string ToString() => Value;
}

/// <summary>One running of an instance: an instance gets a new task each time its container is made anew.</summary>
[JsonConverter(typeof(StringIdConverter<TaskId>))]
public readonly record struct TaskId(string Value) : IStringId<TaskId>
{
    public static TaskId Of(string value) => new(value);
    public override string ToString() => Value;
}

[JsonConverter(typeof(StringIdConverter<DeploymentId>))]
public readonly record struct DeploymentId(string Value) : IStringId<DeploymentId>
{
    public static DeploymentId Of(string value) => new(value);
    public override string ToString() => Value;
}

/// <summary>A volume's name, unique in the cluster: `^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$`, see <see cref="Volumes.VolumeNames"/>.</summary>
[JsonConverter(typeof(StringIdConverter<VolumeName>))]
public readonly record struct VolumeName(string Value) : IStringId<VolumeName>, IComparable<VolumeName>
{
    public static VolumeName Of(string value) => new(value);
    public int CompareTo(VolumeName other) => string.CompareOrdinal(Value, other.Value);
    public override string ToString() => Value;
}

/// <summary>Name of one snapshot of one volume, unique for that volume over all nodes: `m8f3a1c2d-r1`.</summary>
[JsonConverter(typeof(StringIdConverter<SnapshotName>))]
public readonly record struct SnapshotName(string Value) : IStringId<SnapshotName>
{
    public static SnapshotName Of(string value) => new(value);
    public override string ToString() => Value;
}

[JsonConverter(typeof(StringIdConverter<MoveId>))]
public readonly record struct MoveId(string Value) : IStringId<MoveId>, IComparable<MoveId>
{
    public static MoveId Of(string value) => new(value);
    public int CompareTo(MoveId other) => string.CompareOrdinal(Value, other.Value);
    public override string ToString() => Value;
}

/// <summary>A durable piece of work on a volume: a snapshot, a restore, a purge.</summary>
[JsonConverter(typeof(StringIdConverter<OperationId>))]
public readonly record struct OperationId(string Value) : IStringId<OperationId>, IComparable<OperationId>
{
    public static OperationId Of(string value) => new(value);
    public int CompareTo(OperationId other) => string.CompareOrdinal(Value, other.Value);
    public override string ToString() => Value;
}

[JsonConverter(typeof(StringIdConverter<OfferId>))]
public readonly record struct OfferId(string Value) : IStringId<OfferId>
{
    public static OfferId Of(string value) => new(value);
    public override string ToString() => Value;
}

[JsonConverter(typeof(StringIdConverter<NetworkName>))]
public readonly record struct NetworkName(string Value) : IStringId<NetworkName>, IComparable<NetworkName>
{
    public static NetworkName Of(string value) => new(value);
    public int CompareTo(NetworkName other) => string.CompareOrdinal(Value, other.Value);
    public override string ToString() => Value;
}

/// <summary>Number of a volume's ownership. Grows by one at each change of primary; the fencing token.</summary>
[JsonConverter(typeof(EpochConverter))]
public readonly record struct Epoch(long Value) : IComparable<Epoch>
{
    public static readonly Epoch None = new(0);
    public Epoch Next => new(Value + 1);
    public int CompareTo(Epoch other) => Value.CompareTo(other.Value);
    public static bool operator <(Epoch a, Epoch b) => a.Value < b.Value;
    public static bool operator >(Epoch a, Epoch b) => a.Value > b.Value;
    public static bool operator <=(Epoch a, Epoch b) => a.Value <= b.Value;
    public static bool operator >=(Epoch a, Epoch b) => a.Value >= b.Value;
    public override string ToString() => Value.ToString(System.Globalization.CultureInfo.InvariantCulture);
}

public sealed class EpochConverter : JsonConverter<Epoch>
{
    public override Epoch Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => new(reader.GetInt64());
    public override void Write(Utf8JsonWriter writer, Epoch value, JsonSerializerOptions options) => writer.WriteNumberValue(value.Value);
}
