using System.Text.Json;
using System.Text.Json.Serialization;

namespace Drover.ControlPlane.OpenApi;

// Forms of bodies that are read or written field by field, for the description and for the tests that go by it. A test holds them against what is written.

public sealed record LimitRequest(long BytesPerSecond);
public sealed record NameRequest(string? Name);
public sealed record VolumeCreation(string Name, string? Node, string? Size);
public sealed record RestoreRequest(string Snapshot);
public sealed record CloneRequest(string To, string? Snapshot);
public sealed record SizeRequest(string Size);
public sealed record ScheduleRequest(double EverySeconds, int Keep);
public sealed record PurgeRequest(string Confirm);

public sealed record AppShape
{
    public string? Id { get; init; }
    public string? Cmd { get; init; }
    public string[]? Args { get; init; }
    public double? Cpus { get; init; }
    public double? Mem { get; init; }
    public double? Disk { get; init; }
    public double? Gpus { get; init; }
    public int? Instances { get; init; }
    public string? Executor { get; init; }
    public string? User { get; init; }
    public bool? Tty { get; init; }
    public string? Role { get; init; }
    public string[]? AcceptedResourceRoles { get; init; }
    public string[][]? Constraints { get; init; }
    public JsonElement? Drover { get; init; }
    public Dictionary<string, string>? Env { get; init; }
    public Dictionary<string, string>? Labels { get; init; }
    public string[]? Dependencies { get; init; }
    public ContainerShape? Container { get; init; }
    public NetworkShape[]? Networks { get; init; }
    public PortShape[]? PortDefinitions { get; init; }
    public int[]? Ports { get; init; }
    public bool? RequirePorts { get; init; }
    public HealthShape[]? HealthChecks { get; init; }
    public JsonElement[]? ReadinessChecks { get; init; }
    public double? BackoffSeconds { get; init; }
    public double? BackoffFactor { get; init; }
    public double? MaxLaunchDelaySeconds { get; init; }
    public double? TaskKillGracePeriodSeconds { get; init; }
    public StrategyShape? UpgradeStrategy { get; init; }
    public string? KillSelection { get; init; }
    public JsonElement? UnreachableStrategy { get; init; }
    public JsonElement? Residency { get; init; }
    public JsonElement? ResourceLimits { get; init; }
    public JsonElement[]? Fetch { get; init; }
    public string[]? Uris { get; init; }
    public string? Version { get; init; }
    public JsonElement? VersionInfo { get; init; }
}

public sealed record ContainerShape(string? Type, DockerShape? Docker, MountShape[]? Volumes, PortMappingShape[]? PortMappings);
public sealed record DockerShape(string Image, bool? ForcePullImage, bool? Privileged, string? Network, ParameterShape[]? Parameters, PortMappingShape[]? PortMappings);
public sealed record ParameterShape(string Key, string Value);
public sealed record MountShape(string ContainerPath, string? HostPath, string? Mode, JsonElement? External, JsonElement? Persistent);
public sealed record PortMappingShape(int? ContainerPort, int? HostPort, int? ServicePort, string? Protocol, string? Name, Dictionary<string, string>? Labels);
public sealed record PortShape(int? Port, string? Name, string? Protocol, Dictionary<string, string>? Labels);
public sealed record NetworkShape(string? Mode, string? Name);
public sealed record CommandShape(string Value);
public sealed record HealthShape(string? Protocol, string? Path, int? Port, int? PortIndex, CommandShape? Command, double? GracePeriodSeconds, double? IntervalSeconds, double? TimeoutSeconds, int? MaxConsecutiveFailures, double? DelaySeconds, bool? IgnoreHttp1xx, string? IpProtocol);
public sealed record StrategyShape(double? MinimumHealthCapacity, double? MaximumOverCapacity);

public sealed record AppInfoShape(string Id, int TasksStaged, int TasksRunning, int TasksHealthy, int TasksUnhealthy, IdShape[] Deployments, TaskShape[]? Tasks, JsonElement? LastTaskFailure);
public sealed record AppsShape(AppInfoShape[] Apps);
public sealed record OneAppShape(AppInfoShape App);
public sealed record IdShape(string Id);
public sealed record BegunShape(string Version, string DeploymentId);
public sealed record VersionsShape(string[] Versions);
public sealed record TaskShape(string Id, string AppId, string Host, string SlaveId, string State, int[] Ports, int[] ServicePorts, JsonElement[] IpAddresses, string? StagedAt, string? StartedAt, string? Version, JsonElement[]? HealthCheckResults, string? WaitsFor);
public sealed record TasksShape(TaskShape[] Tasks);
public sealed record OneTaskShape(TaskShape Task);
public sealed record KillShape(string[] Ids);
public sealed record GroupShape(string? Id, AppShape[]? Apps, GroupShape[]? Groups, string[]? Dependencies, bool? EnforceRole, double? ScaleBy, string? Version);
public sealed record ActionShape(string Action, string App);
public sealed record StepShape(ActionShape[] Actions);
public sealed record DeploymentShape(string Id, string Version, string[] AffectedApps, string[] AffectedPods, StepShape[] Steps, JsonElement[] CurrentActions, int CurrentStep, int TotalSteps, string? WaitsFor);
public sealed record DelayShape(long TimeLeftSeconds, bool Overdue);
public sealed record ReasonShape(string Kind, string Text, long? TimeLeftSeconds, JsonElement[]? Nodes);
public sealed record QueueItemShape(AppShape App, int Count, string Role, DelayShape Delay, string Since, JsonElement ProcessedOffersSummary, JsonElement[]? LastUnusedOffers, ReasonShape[] Reasons, string? WaitsFor);
public sealed record WaitingShape(string What, string Id, string App, string? Node, string Since, string Kind, string Text, long? TimeLeftSeconds);
public sealed record QueueShape(QueueItemShape[] Queue, WaitingShape[] Waiting, int WaitingTotal);
public sealed record InfoShape(string Name, string Version, string Buildref, bool Elected, string Leader, string FrameworkId, [property: JsonPropertyName("marathon_config")] JsonElement MarathonConfig, [property: JsonPropertyName("zookeeper_config")] JsonElement ZookeeperConfig, [property: JsonPropertyName("http_config")] JsonElement HttpConfig);
public sealed record LeaderShape(string Leader);
public sealed record PluginsShape(JsonElement[] Plugins);
public sealed record MarathonEventShape(string EventType, string Timestamp);
public sealed record CallbacksShape(string[] CallbackUrls);
public sealed record CallbackShape(string CallbackUrl, string ClientIp, string EventType);
public sealed record LoggingShape(string Level, string? Logger, int? DurationSeconds);
/// <summary>Refusals of /v2.</summary>
public sealed record MessageShape(string Message, JsonElement? Details, IdShape[]? Deployments);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(LimitRequest)), JsonSerializable(typeof(NameRequest)), JsonSerializable(typeof(VolumeCreation)), JsonSerializable(typeof(RestoreRequest)), JsonSerializable(typeof(CloneRequest))]
[JsonSerializable(typeof(SizeRequest)), JsonSerializable(typeof(ScheduleRequest)), JsonSerializable(typeof(PurgeRequest))]
[JsonSerializable(typeof(AppShape)), JsonSerializable(typeof(AppsShape)), JsonSerializable(typeof(OneAppShape)), JsonSerializable(typeof(BegunShape)), JsonSerializable(typeof(VersionsShape))]
[JsonSerializable(typeof(TasksShape)), JsonSerializable(typeof(OneTaskShape)), JsonSerializable(typeof(KillShape)), JsonSerializable(typeof(GroupShape)), JsonSerializable(typeof(DeploymentShape)), JsonSerializable(typeof(DeploymentShape[]))]
[JsonSerializable(typeof(QueueShape)), JsonSerializable(typeof(InfoShape)), JsonSerializable(typeof(LeaderShape)), JsonSerializable(typeof(PluginsShape)), JsonSerializable(typeof(MarathonEventShape))]
[JsonSerializable(typeof(CallbacksShape)), JsonSerializable(typeof(CallbackShape)), JsonSerializable(typeof(LoggingShape)), JsonSerializable(typeof(MessageShape)), JsonSerializable(typeof(string[]))]
internal sealed partial class ShapeJson : JsonSerializerContext;
