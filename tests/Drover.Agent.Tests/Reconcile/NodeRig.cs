using Drover.Agent.Containers;
using Drover.Agent.Reconcile;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Testing;
using Drover.Testing.Agents;
using Drover.Testing.Volumes;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace Drover.Agent.Tests.Reconcile;

/// <summary>An agent without Docker, btrfs or a control plane: the test is all three.</summary>
internal sealed class NodeRig : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("drover-rig").FullName;
    private readonly HealthChecks _health;

    public FakeTimeProvider Time { get; } = new() { AutoAdvanceAmount = TimeSpan.FromMilliseconds(1) };
    public FakeContainerRuntime Docker { get; }
    public FakeVolumeDriver Volumes { get; }
    public ToldObservations Told { get; } = new();
    public FakeOwners Owners { get; } = new();
    public FakeOverlay Overlay { get; } = new();
    public FakeProbe Probe { get; } = new();
    public FakeRounds Rounds { get; } = new();
    public FakeWriteRight Right { get; } = new();
    public NodeBook Book { get; }
    public KeyedLocks Locks { get; }
    public Orders Orders { get; }
    public Reconciler Reconciler { get; }
    public StepExecutor Steps { get; }

    /// <param name="before">An earlier run of the agent on the same machine, whose containers, volumes and ledger this one finds.</param>
    public NodeRig(NodeRig? before = null)
    {
        if (before is not null) _folder = before._folder;
        Docker = before?.Docker ?? new FakeContainerRuntime(Time);
        Volumes = before?.Volumes ?? new FakeVolumeDriver(new FakePool(), new SeededChance(1), Path.Combine(_folder, "flocker"));
        var options = new AgentOptions { Node = "node1", Control = new("https://127.0.0.1:1"), Address = "127.0.0.1", Certificates = "/", Pool = "/", MountRoot = Path.Combine(_folder, "flocker") };
        Orders = new(new Ledger(_folder), NullLogger<Orders>.Instance);
        var book = Book = new NodeBook(Docker, Volumes);
        var locks = Locks = new KeyedLocks();
        _health = new(Probe, Time, NullLogger<HealthChecks>.Instance);
        var work = new InstanceWork(Orders, book, Docker, Volumes, Owners, Overlay, Told, Right, options, Time, NullLogger<InstanceWork>.Instance);
        Reconciler = new(Orders, book, Docker, work, _health, locks, Told, Time, NullLogger<Reconciler>.Instance);
        Steps = new(new StepsByKind(new MoveWork(Orders, book, work, Docker, Volumes, Rounds, locks, Told, Right, Time), new VolumeWork(Orders, book, Volumes, locks, Told)), Told, NullLogger<StepExecutor>.Instance);
    }

    public async Task<NodeRig> Start()
    {
        Right.Gained += Reconciler.WakeAll;
        await Reconciler.StartAsync(CancellationToken.None);
        await Reconciler.Surveyed;
        return this;
    }

    /// <summary>The agent ends; containers and volumes stay.</summary>
    public async Task Stop()
    {
        await Reconciler.StopAsync(CancellationToken.None);
        await Steps.DisposeAsync();
        await _health.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await Stop();
        Reconciler.Dispose();
        if (Directory.Exists(_folder)) Directory.Delete(_folder, recursive: true);
    }

    public void Order(long generation, DesiredInstance? instance, params DesiredVolume[] volumes)
    {
        var desired = new Desired { Generation = generation };
        if (instance is not null) desired.Instances.Add(instance);
        desired.Volumes.AddRange(volumes);
        Orders.Replace(desired);
    }

    public static DesiredInstance Instance(int incarnation = 1, InstanceWish wish = InstanceWish.Run, long epoch = 0, string command = "run") 
    {
        var instance = new DesiredInstance
        {
            InstanceId = "db.instance-1", TaskId = Task(incarnation), AppId = "/db", Incarnation = incarnation, Wish = wish, StopGraceMs = 3000,
            Container = new ContainerSpec { Image = "app", Command = command, Network = "bridge" },
        };
        if (epoch > 0) instance.Volumes.Add(new InstanceVolume { Name = "data", Epoch = epoch, ContainerPath = "/data" });
        return instance;
    }

    public static string Task(int incarnation) => new InstanceId("db.instance-1").Task(incarnation).Value;

    public static DesiredVolume Primary(long epoch, bool empty = false, string from = "", bool isSealed = false) =>
        new() { Name = "data", Role = VolumeRole.Primary, Epoch = epoch, CreateEmpty = empty, Base = from, Sealed = isSealed };
}
