using System.Text.Json.Serialization;

namespace Drover.Contracts.Api;

// Drover's own API, /api/v1. JSON, camelCase. Sizes in bytes, spans in milliseconds, moments in ISO 8601 UTC.

/// <summary>GET /api/v1/status</summary>
public sealed record StatusView(
    string Name, string Version, DateTimeOffset StartedAt, int Nodes, int NodesConnected, int Apps, int Instances, int InstancesServing, int Volumes, int OpenMoves,
    long MemoryBytes, IReadOnlyList<WaitingView> Waiting);

/// <summary>Something that waits, and for what.</summary>
/// <param name="What">`instance`, `move`, `deployment`</param>
public sealed record WaitingView(string What, string Id, string App, string WaitsFor, DateTimeOffset Since, IReadOnlyList<NodeReasonView> Nodes);

/// <summary>Why one node does not take it.</summary>
public sealed record NodeReasonView(string Node, string Reason);

/// <summary>GET /api/v1/nodes</summary>
public sealed record NodesView(IReadOnlyList<NodeView> Nodes);

/// <summary>GET /api/v1/nodes/{id}</summary>
public sealed record NodeView(
    string Id, string Hostname, string Address, bool Connected, DateTimeOffset Since, bool Cordoned, IReadOnlyDictionary<string, string> Attributes,
    ResourcesView Total, ResourcesView Used, long PoolTotalBytes, long PoolFreeBytes, long AgentMemoryBytes, string AgentVersion, IReadOnlyList<string> Tasks, IReadOnlyList<string> Volumes)
{
    /// <summary>`Draining`, `Stopped`, `Done`; null: it was never drained.</summary>
    public string? Drain { get; init; }
    /// <summary>Bytes a second that transfers out of it may take together; null: as its agent was started.</summary>
    public long? TransferLimit { get; init; }
}

public sealed record ResourcesView(double Cpus, double Mem, double Disk, string Ports);

/// <summary>GET /api/v1/volumes</summary>
public sealed record VolumesView(IReadOnlyList<VolumeView> Volumes);

/// <summary>GET /api/v1/volumes/{name}</summary>
public sealed record VolumeView(string Name, string? Primary, long Epoch, string? App, long UsedBytes, IReadOnlyList<StandbyView> Standbys, DateTimeOffset CreatedAt, string? Move)
{
    /// <summary>Newest last.</summary>
    public IReadOnlyList<ForkView> Forks { get; init; } = [];
    /// <summary>What it may grow to; null: no limit.</summary>
    public long? SizeBytes { get; init; }
    /// <summary>What is not as asked, for people; null: nothing.</summary>
    public string? Warning { get; init; }
    /// <summary>Oldest first.</summary>
    public IReadOnlyList<KeptSnapshotView> Snapshots { get; init; } = [];
    public ScheduleView? Schedule { get; init; }
    public DateTimeOffset? DeletedAt { get; init; }
    public DateTimeOffset? PurgeAt { get; init; }
    /// <summary>Work under way.</summary>
    public OperationView? Operation { get; init; }
}

/// <param name="Node">Where it lies: snapshots do not move with their volume.</param>
/// <param name="Origin">`asked`, `schedule`, `beforeRestore`, `forClone`</param>
public sealed record KeptSnapshotView(string Name, string Node, long Epoch, DateTimeOffset TakenAt, long Bytes, string Origin);

public sealed record ScheduleView(double EverySeconds, int Keep, DateTimeOffset NextAt);

/// <summary>GET /api/v1/operations</summary>
public sealed record OperationsView(IReadOnlyList<OperationView> Operations);

/// <summary>Work on a volume. POST and DELETE under /api/v1/volumes answer 202 with it; GET /api/v1/operations/{id} says how it stands.</summary>
/// <param name="Verb">`create`, `snapshot`, `drop`, `restore`, `clone`, `resize`, `purge`, `prune`</param>
/// <param name="Safety">Of a restore: the snapshot that undoes it.</param>
public sealed record OperationView(string Id, string Verb, string Volume, string Node, string Stage, string? Snapshot, string? Safety, string? Target, DateTimeOffset RequestedAt, DateTimeOffset? EndedAt, string? WaitsFor, string? Failure);

/// <summary>What a lost primary wrote and its successor has not.</summary>
/// <param name="Kept">True: the snapshot is there. False: its node has not come back since, or is at it.</param>
public sealed record ForkView(string Node, string Snapshot, long Epoch, DateTimeOffset Since, bool Kept);

/// <summary>POST /api/v1/volumes/{name}/promote. 409 with Retry-After: the lost node's lease has not ended.</summary>
/// <param name="AcceptLoss">What was written since the standby's snapshot may be missing.</param>
public sealed record PromotionRequest(string To, bool AcceptLoss);

/// <param name="Loss">For people: what is missing and where it is kept.</param>
public sealed record PromotionView(string Volume, string From, string To, long Epoch, string Snapshot, DateTimeOffset SnapshotSince, string Loss);

public sealed record StandbyView(string Node, string Snapshot, long Epoch, DateTimeOffset Since);

/// <summary>POST /api/v1/moves. Exactly one of <paramref name="To"/> and <paramref name="Constraint"/>.</summary>
/// <param name="App">App id, leading slash optional.</param>
/// <param name="To">Node id.</param>
/// <param name="Constraint">`attribute=value`: any node that has it. It becomes the app's constraint.</param>
/// <param name="DryRun">Answers the plan and does nothing.</param>
/// <param name="Limit">Bytes a second; 0: none.</param>
/// <param name="DowntimeTargetMs">In place of the app's label drover.downtimeTargetMs, for this move alone.</param>
/// <param name="Policy">`cut`, `throttle`, `wait` or `abort`, in place of the app's label drover.movePolicy.</param>
/// <param name="Quiesce">`stop` or `freeze`, in place of the app's label drover.quiesce.</param>
public sealed record MoveRequest(string App, string? To, string? Constraint, bool DryRun, long Limit, double? DowntimeTargetMs = null, string? Policy = null, string? Quiesce = null)
{
    /// <summary>True: also to a node whose driver cannot keep a volume to its size.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? WithoutSizes { get; init; }
}

/// <summary>GET /api/v1/moves</summary>
public sealed record MovesView(IReadOnlyList<MoveView> Moves);

/// <summary>POST /api/v1/moves (202, Location), GET /api/v1/moves/{id}. Events of kind `move.changed` (progress, at most four a second) say when to read it again.</summary>
public sealed record MoveView(
    string Id, string App, string Trigger, string State, string From, string To, IReadOnlyList<string> Volumes, long VolumeBytes, bool Incremental,
    DateTimeOffset RequestedAt, DateTimeOffset? EndedAt, IReadOnlyList<MoveStateView> History, IReadOnlyList<RoundView> Rounds, ProgressView? Progress, WaterfallView? Waterfall,
    long BytesSent, string? WaitsFor, string? Failure)
{
    public MovePolicyView? Policy { get; init; }
    /// <summary>What came of the app's preStop command: `due`, `done`, `failed: …`; null: it has none, or its turn has not come.</summary>
    public string? PreStop { get; init; }
    /// <summary>How often the source's container was slowed down by half.</summary>
    public int Throttled { get; init; }
    public bool CutAsked { get; init; }
}

/// <summary>How a move decides.</summary>
/// <param name="Limit">Bytes a second; 0: none.</param>
public sealed record MovePolicyView(double DowntimeTargetMs, string Policy, string Quiesce, string? PreStop, long Limit);

public sealed record MoveStateView(string State, DateTimeOffset At);
public sealed record RoundView(int Number, bool Final, long Bytes, double Ms, double SnapshotMs, double SendMs, double SyncMs, double? PredictedStopMs)
{
    /// <summary>How fast the app dirties its data, as this round shows.</summary>
    public double? DirtyBytesPerSecond { get; init; }
    /// <summary>The way from disk to disk, as measured.</summary>
    public double? PipeBytesPerSecond { get; init; }
    public long? PredictedDeltaBytes { get; init; }
    /// <summary>Over the wire: less than <see cref="Bytes"/> where compressed, more where a connection broke.</summary>
    public long WireBytes { get; init; }
    /// <summary>Sent again because a connection broke.</summary>
    public long ResentBytes { get; init; }
}

/// <summary>The transfer under way.</summary>
/// <param name="BytesExpected">0: not known.</param>
public sealed record ProgressView(int Round, string Doing, long Bytes, long BytesExpected, long BytesPerSecond, double? SecondsLeft, double? PredictedStopMs);

/// <summary>The cutover, span by span, in the order they happened.</summary>
public sealed record WaterfallView(IReadOnlyList<SpanView> Spans, double? AppStopMs, double? AppStartMs, double? CutoverMs, double? AddedCutoverMs);

/// <param name="Name">`app stop`, `snapshot`, `send`, `receive`, `commit`, `promote`, `start`, `first answer`</param>
/// <param name="StartMs">From the stop's request.</param>
public sealed record SpanView(string Name, string Node, double StartMs, double Ms);

/// <summary>POST /api/v1/moves with dryRun: nothing was done.</summary>
public sealed record MovePlanView(
    string App, string From, string To, IReadOnlyList<string> Volumes, long VolumeBytes, long BytesToSend, bool Incremental, int RoundsExpected, double? SecondsExpected,
    double? PredictedStopMs, IReadOnlyList<string> Notes, IReadOnlyList<NodeReasonView> Refused)
{
    public MovePolicyView? Policy { get; init; }
    /// <summary>Storage of source and target.</summary>
    public string? Driver { get; init; }
    /// <summary>What it would wait for before it begins; null: it begins at once.</summary>
    public string? WaitsFor { get; init; }
}

/// <summary>POST /api/v1/nodes/{id}/drain. POST nodes/{id}/drain/stop, nodes/{id}/cordon and nodes/{id}/uncordon take no body.</summary>
/// <param name="Limit">Moves at once; 0: the usual.</param>
/// <param name="DryRun">Answers the plan and does nothing.</param>
public sealed record DrainRequest(int Limit, bool DryRun);

/// <summary>A node being emptied, or the plan for it.</summary>
/// <param name="State">`Planned` (a dry run), `Draining`, `Stopped`, `Done`</param>
/// <param name="Apps">Copies that are still there, in the order they go.</param>
/// <param name="Stays">What a drain does not take away.</param>
public sealed record DrainView(
    string Node, string State, int Limit, int Total, int Gone, DateTimeOffset? StartedAt, DateTimeOffset? EndedAt, string? WaitsFor, IReadOnlyList<DrainedAppView> Apps, IReadOnlyList<string> Stays);

/// <param name="How">`move`, or `replace` for one copy of several</param>
/// <param name="WaitsFor">null: it is on its way, or its turn comes when another has gone.</param>
public sealed record DrainedAppView(string App, string How, long Bytes, string? To, string? Move, string? MoveState, string? WaitsFor);

/// <summary>POST /api/v1/rebalance</summary>
public sealed record RebalanceRequest(bool Apply);

/// <param name="Before">Sum over nodes of the squares of memory and storage shares in use.</param>
/// <param name="PeakBefore">Largest share in use on any node.</param>
public sealed record RebalanceView(bool Applied, double Before, double After, double PeakBefore, double PeakAfter, IReadOnlyList<RelocationView> Moves);

public sealed record RelocationView(string App, string From, string To, long Bytes, double Gain);

/// <summary>GET /api/v1/events: server-sent events; `id` is the sequence number, `event` the kind, `data` this. Sequence numbers grow over restarts too.</summary>
public sealed record EventView(long Sequence, DateTimeOffset At, string Kind, string Subject, string Text, string? App, string? Instance, string? Node, string? Volume, string? Move, string? Deployment, string? State);

/// <summary>GET /api/v1/offers: offers that frameworks hold now.</summary>
public sealed record OffersView(IReadOnlyList<OfferView> Offers);
public sealed record OfferView(string Id, string Node, string Framework, ResourcesView Resources, IReadOnlyDictionary<string, string> Attributes);

/// <summary>Any refusal.</summary>
/// <param name="Field">Which input; null: the request as a whole.</param>
/// <param name="Remedy">What to do.</param>
public sealed record ErrorView(string Message, string? Field, string? Remedy);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.Never, WriteIndented = false)]
[JsonSerializable(typeof(StatusView))]
[JsonSerializable(typeof(NodesView))]
[JsonSerializable(typeof(NodeView))]
[JsonSerializable(typeof(VolumesView))]
[JsonSerializable(typeof(VolumeView))]
[JsonSerializable(typeof(OperationView))]
[JsonSerializable(typeof(OperationsView))]
[JsonSerializable(typeof(PromotionRequest))]
[JsonSerializable(typeof(PromotionView))]
[JsonSerializable(typeof(MoveRequest))]
[JsonSerializable(typeof(MovesView))]
[JsonSerializable(typeof(MoveView))]
[JsonSerializable(typeof(MovePlanView))]
[JsonSerializable(typeof(DrainRequest))]
[JsonSerializable(typeof(DrainView))]
[JsonSerializable(typeof(RebalanceRequest))]
[JsonSerializable(typeof(RebalanceView))]
[JsonSerializable(typeof(EventView))]
[JsonSerializable(typeof(OffersView))]
[JsonSerializable(typeof(ErrorView))]
public sealed partial class ApiJson : JsonSerializerContext;
