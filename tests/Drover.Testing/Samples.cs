using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Groups;
using Drover.Core.Moves;
using Drover.Core.Networks;
using Drover.Core.Nodes;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.Testing;

/// <summary>One of each stored record with every property set to something that is not its default.</summary>
public static class Samples
{
    public static readonly DateTimeOffset Moment = new(2026, 1, 5, 12, 0, 0, 123, TimeSpan.Zero);

    public static readonly Node Node = new(
        new("node1"), "node1.lab", "172.16.255.251", 4525, [new("disk", "ssd")], new(2, 4096, 10240, 1, [new(7000, 9000)]),
        "btrfs", "0.1.0", Cordoned: true, Moment, Moment.AddMinutes(1)) { Seat = "boot/1", Lease = TimeSpan.FromSeconds(60), TransferLimit = 50_000_000, Drain = new(DrainState.Stopped, 4, 8, Moment) { EndedAt = Moment.AddSeconds(9), WaitsFor = "room" } };

    public static readonly AppSpec Spec = new()
    {
        Id = new("/shop/db"), Command = "run", Args = ["a", "b"], Cpus = 0.5, MemoryMiB = 256, DiskMiB = 10, Gpus = 1, Instances = 3,
        Container = new ContainerSpec
        {
            Image = "mongo", ImageImplied = true, Network = ContainerNetwork.Host, NetworkName = "weave", ForcePull = true, Privileged = true,
            PortMappings = [new(27017, 31001, 10001, "tcp", "db", [new("vip", "1")])],
            Volumes = [new VolumeMount(new("mongodata"), "/data/db", true, VolumeNaming.External, 1.5) { Driver = "flocker", Options = [new("dvdi/driver", "flocker")], Persistent = new("data", "mount", 512, 1024, true) }, new HostMount("/etc/ssl", "/ssl", true)],
            Parameters = [new("hostname", "db")],
            Overlay = new(new("weave"), "10.255.0.10/24"),
        },
        Constraints = [new("disk", ConstraintOperator.Like, "ssd")],
        Preferences = [new(new("rack", ConstraintOperator.Is, "a"), 10)],
        Apart = [new(new("/noisy"), [new("load", "batch")], 5)],
        Env = [new("A", "1")], Labels = [new("tier", "data")],
        Ports = [new(8080, "tcp", "http", [new("x", "y")])], RequirePorts = true,
        HealthChecks = [new(HealthProtocol.Tcp, "/", 1, 80, "true", TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(3), 4, TimeSpan.FromSeconds(5), true) { IpProtocol = IpProtocol.IPv6 }],
        ReadinessChecks = [new("warm", HealthProtocol.Https, "/ready", "http", TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2), [200, 204], true)],
        Backoff = new(TimeSpan.FromSeconds(2), 1.5, TimeSpan.FromSeconds(60)), Upgrade = new(0.5, 0.25), KillSelection = KillSelection.OldestFirst,
        Unreachable = new(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2)), KillGrace = TimeSpan.FromSeconds(7), Dependencies = [new("/a")],
        User = "mongodb", Executor = "x", Tty = true, Limits = new(2, ResourceLimits.Unlimited), Residency = new(TimeSpan.FromSeconds(60), "WAIT_FOREVER"), AcceptedRoles = ["r"], Role = "prod",
    };

    public static readonly App App = new(Spec, Moment, Moment.AddSeconds(1), Moment.AddSeconds(2))
    {
        Delay = new(TimeSpan.FromSeconds(3), Moment, "it ended", 4),
        LastTaskFailure = new(new("t.1"), new("node1"), "node1.lab", "TASK_FAILED", "exit 1", Moment, Moment.AddSeconds(3)),
    };

    public static readonly Instance Instance = new(
        new("shop_db.instance-1"), new("/shop/db"), Spec, Moment, 2, new("node1"), [31001], InstanceGoal.Removed, InstanceState.Running, Moment)
    {
        StagedAt = Moment.AddSeconds(1), StartedAt = Moment.AddSeconds(2), Healthy = true,
        Health = [new(true, 1, Moment, Moment.AddSeconds(1), Moment.AddSeconds(2), "refused")],
        Readiness = [new("warm", true, new(200, "text/plain", "yes"))], LaunchSince = Moment.AddSeconds(4), Pulling = true, InLine = true,
        ContainerId = "c0ffee", WaitsFor = "a pull",
        Start = new(TimeSpan.FromMilliseconds(1.5), TimeSpan.FromMilliseconds(2), TimeSpan.FromMilliseconds(3), TimeSpan.FromMilliseconds(4)),
    };

    public static readonly Deployment Deployment = new(
        new("d1"), Moment, [new("/shop/db")], [new([new(DeploymentActionKind.ScaleApplication, new("/shop/db"))])], 1, Moment)
    {
        WaitsFor = "health", Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Before = [new(new("/shop/db"), Moment)], GroupsBefore = [new(new("/shop"), new(new("/shop"), Moment, [new("/base")], EnforceRole: true))],
    };

    public static readonly FormerApp FormerApp = new(App, Moment.AddHours(1));

    public static readonly AppGroup Group = new(new("/shop"), Moment, [new("/base")], EnforceRole: true);

    public static readonly Volume Volume = new(new("mongodata"), new("node1"), new(3), Initialized: true, new("m1-r1"), new("/shop/db"), Moment)
    {
        Standbys = [new(new("node2"), new("m0-r1"), new(2), Moment)], Used = new(123456789), Size = new(1L << 30), DeletedAt = Moment, PurgeAt = Moment.AddDays(7), Missing = "its import failed", Schedule = new(TimeSpan.FromHours(1), 24, Moment),
        Snapshots = [new(new("nightly"), new("node1"), new(3), Moment, new(77), SnapshotOrigin.Schedule)], Forks = [new(new("node2"), new(1), new("fork-e1"), Moment, Kept: true)],
    };

    public static readonly Move Move = new(
        new("m1"), MoveTrigger.Redeploy, new("/shop/db"), new("shop_db.instance-1"), [new(new("mongodata"), new(3), new("m0-r1"), new("m1-r2")) { Used = new(5), Initialized = true, Leftovers = [new("m0-f")] }],
        new("node1"), new("node2"), Spec, [31002], new(TimeSpan.FromMilliseconds(200), 5, NonConvergence.Abort, 1000) { Quiesce = Quiesce.Freeze, PreStop = new("psql -c CHECKPOINT", TimeSpan.FromSeconds(9), Required: true) }, MoveState.Seeding, Moment)
    {
        History = [new(MoveState.Planned, Moment), new(MoveState.Seeding, Moment.AddSeconds(1))],
        Rounds = [new(1, true, new(1000), TimeSpan.FromSeconds(1), TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(2), TimeSpan.FromMilliseconds(3), Moment, TimeSpan.FromMilliseconds(4)) { DirtyRate = 1.5, PipeRate = 2.5, PredictedDelta = 9, WireBytes = new ByteCount(4097), ResentBytes = new ByteCount(11) }],
        Timings = new(Moment, TimeSpan.FromMilliseconds(1), Moment, TimeSpan.FromMilliseconds(2), TimeSpan.FromMilliseconds(3), TimeSpan.FromMilliseconds(4),
            Moment, Moment, TimeSpan.FromMilliseconds(5), Moment, TimeSpan.FromMilliseconds(6), Moment) { FirstAnswer = TimeSpan.FromMilliseconds(7) },
        Attempts = 2, WrittenByStop = new(7), SourceIdle = true, Before = App, Failure = "the disk is full", WaitsFor = "a round",
        PreStop = PreStopState.Failed, PreStopSaid = "exit 1", PreStopAt = 2, CutNow = true, Throttle = 2, Throttled = 1, Pauses = 3, Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", NextRoundAt = Moment, Width = 4,
    };

    public static readonly Network Network = new(new("weave"), 4096, "10.255.0.0/24", Moment)
    {
        Addresses = [new("10.255.0.10", "02:dd:0a:ff:00:0a", new("/shop/db"), new("node1"))],
    };

    public static readonly VolumeOperation Operation = new(new("o1"), VolumeVerb.Restore, new("mongodata"), new("node1"), VolumeStage.Taking, Moment)
    {
        Snapshot = new("nightly"), Origin = SnapshotOrigin.Schedule, Safety = new("before"), Target = new("copy"), Size = new(5), Drops = [new("old")], Further = [new("node2")],
        Attempts = 2, NextAt = Moment, WaitsFor = "another attempt", EndedAt = Moment, Failure = "refused", BytesPerSecond = 9,
    };

    /// <summary>What puts one of each into the state.</summary>
    public static readonly IReadOnlyList<ClusterChange> Changes =
    [
        new ClusterChange.PutNode(Node), new ClusterChange.PutApp(App), new ClusterChange.PutInstance(Instance), new ClusterChange.PutDeployment(Deployment),
        new ClusterChange.PutVolume(Volume), new ClusterChange.PutMove(Move), new ClusterChange.PutNetwork(Network),
        new ClusterChange.PutOperation(Operation), new ClusterChange.PutFormerApp(FormerApp), new ClusterChange.PutGroup(Group),
    ];
}
