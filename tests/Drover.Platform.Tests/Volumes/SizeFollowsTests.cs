using System.IO.Pipelines;
using Drover.Agent;
using Drover.Agent.Reconcile;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Testing;
using Drover.Testing.Agents;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Drover.Platform.Tests.Volumes;

/// <summary>A volume with a size goes from one real btrfs to another, which has never counted anything, and is started there by what starts apps.</summary>
[Collection("pools")]
[Trait("needs", "root")]
public sealed class SizeFollowsTests : IAsyncLifetime
{
    private const long Size = 8 << 20;
    private static readonly VolumeName Data = new("data");
    private readonly TemporaryFolder _folder = new();
    private readonly FakeContainerRuntime _runtime = new(new FakeTimeProvider());
    private LoopPool _source = null!, _target = null!;
    private Orders _orders = null!;
    private InstanceWork _work = null!;

    public async ValueTask InitializeAsync()
    {
        (_source, _target) = (await LoopPool.Make(), await LoopPool.Make());
        await _source.Driver.Recover(default);
        await _target.Driver.Recover(default);
        _orders = new(new Ledger(_folder.File("state")), NullLogger<Orders>.Instance);
        var options = new AgentOptions { Node = "node2", Control = new("https://127.0.0.1:1"), Address = "127.0.0.1", Certificates = "/", Pool = _target.Pool, MountRoot = _target.MountRoot };
        _work = new(_orders, new NodeBook(_runtime, _target.Driver), _runtime, _target.Driver, new FakeOwners(), new FakeOverlay(), new ToldObservations(), new FakeWriteRight(), options, new FakeTimeProvider(), NullLogger<InstanceWork>.Instance);
    }

    public async ValueTask DisposeAsync()
    {
        await _source.DisposeAsync();
        await _target.DisposeAsync();
        _folder.Dispose();
    }

    private static void Done(VolumeOutcome outcome) => Assert.True(outcome.Ok, outcome.Message);

    private static byte[] Noise(int seed)
    {
        var bytes = new byte[1 << 20];
        var chance = new SeededChance(seed);
        for (var at = 0; at < bytes.Length; at += 16) chance.NewGuid().TryWriteBytes(bytes.AsSpan(at));
        return bytes;
    }

    private static void Fill(LoopPool pool)
    {
        for (var i = 0; i < 16; i++) pool.Write(Data, $"more{i}", Noise(100 + i));
    }

    private async Task Moved(SnapshotName snapshot)
    {
        var pipe = new Pipe();
        var sending = _source.Driver.Send(Data, snapshot, null, StreamFormat.BtrfsSend1, pipe.Writer, default);
        await using var incoming = await _target.Driver.Receive(Data, snapshot, null, StreamFormat.BtrfsSend1, pipe.Reader, default);
        await sending;
        await incoming.Accept(default);
    }

    /// <summary>As the node's reconciler does: looks, plans, does, until nothing is left to do.</summary>
    private async Task Run(int incarnation, long epoch, string from)
    {
        var id = new InstanceId("db.instance-1");
        var instance = new DesiredInstance
        {
            InstanceId = id.Value, TaskId = id.Task(incarnation).Value, AppId = "/db", Incarnation = incarnation, Wish = InstanceWish.Run, Container = new ContainerSpec { Image = "app", Network = "bridge" },
            Volumes = { new InstanceVolume { Name = "data", Epoch = epoch, ContainerPath = "/data" } },
        };
        _orders.Replace(new Desired { Generation = incarnation, Instances = { instance }, Volumes = { new DesiredVolume { Name = "data", Role = VolumeRole.Primary, Epoch = epoch, Base = from, SizeBytes = Size } } });
        while (AgentPlanner.Plan(await _work.Look(id, instance, default)) is { Length: > 0 } plan)
            Assert.Equal(WorkOutcome.Done, await _work.Do(await _work.Look(id, instance, default), plan, static () => { }, default));
        Assert.Contains(id.Task(incarnation), _runtime.Running);
    }

    [Fact]
    public async Task After_a_move_and_after_a_restore_the_size_still_holds()
    {
        Done(await _source.Driver.CreateEmpty(Data, new(1), default));
        Done(await _source.Driver.Resize(Data, new(Size), new(1), default));
        Done(await _source.Driver.Mount(Data, new(1), default));
        _source.Write(Data, "row", "acknowledged"u8.ToArray());
        Done(await _source.Driver.Unmount(Data, default));
        Done(await _source.Driver.Seal(Data, true, new(1), default));
        Assert.True((await _source.Driver.Snapshot(Data, new("m1-f"), new(1), default)).Ok);
        await Moved(new("m1-f"));
        await Run(1, 2, "m1-f");
        Assert.Equal("acknowledged", await File.ReadAllTextAsync(Path.Combine(_target.MountRoot, "data", "row")));
        Assert.Throws<IOException>(() => Fill(_target));

        // A restore on the same node: live data of another epoch, with all that was there before.
        await _target.Driver.Sync(default);
        Assert.True((await _target.Driver.Snapshot(Data, new("s-full"), new(2), default)).Ok);
        _runtime.End(new InstanceId("db.instance-1").Task(1), 0);
        await Run(2, 3, "s-full");
        Assert.Equal((3, Size), (await _target.Driver.Inspect(Data, default)) is { } here ? ((int)here.Epoch.Value, here.Limit!.Value.Bytes) : default);
        Assert.Throws<IOException>(() => Fill(_target));
    }
}
