using Drover.Core.Apps;
using Drover.Core.State;
using Xunit;

namespace Drover.Core.Tests.Apps;

/// <summary>A rolling upgrade from its first step to its end, with agents that do one thing at a time in an order of chance; what an upgrade promises is looked at after every step.</summary>
internal sealed class RollingPlay
{
    public static readonly DateTimeOffset Changed = Given.Noon.AddMinutes(1);
    private static readonly HealthCheck Check = new(HealthProtocol.Tcp, null, 0, null, null, TimeSpan.Zero, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1), 3, TimeSpan.Zero, false);
    private static readonly ReadinessCheck Warm = new("warm", HealthProtocol.Http, "/", "http", TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(1), [200], false);
    private readonly Dice _chance;
    private readonly App _app;
    private readonly UpgradeBounds _bounds;
    private readonly int _mostAlive;
    private int _relapses = 6;
    private int _deaths = 4;

    /// <param name="serving">So many of the old copies serve; the others are unwell.</param>
    public RollingPlay(int wanted, int old, int serving, UpgradeStrategy strategy, int seed)
    {
        _chance = new(seed);
        var spec = Given.Spec(instances: wanted) with { Upgrade = strategy, HealthChecks = [Check], ReadinessChecks = [Warm] };
        _app = spec.App(Changed);
        State = Given.Cluster(Given.Node("node1", cpus: 1000)).And(_app)
            .And([.. Enumerable.Range(0, old).Select(n => (spec with { ReadinessChecks = [] }).Copy($"old{n:000}", "node1") with { Healthy = n < serving })]);
        _bounds = UpgradeBounds.Of(wanted, strategy, Math.Max(old, wanted));
        _mostAlive = Math.Max(old, _bounds.MaxCapacity);
    }

    public ClusterState State { get; private set; }
    private List<Instance> Copies => [.. State.InstancesOf(_app.Id)];
    private int Serving => Copies.Count(i => i.Goal == InstanceGoal.Running && i.Serves);

    public RolloutStep Next() => Rollout.Upgrade(State, _app, Changed, Given.Noon, _chance);

    /// <summary>How many it stops and how many it starts at once.</summary>
    public static (int Stopped, int Started) Sum(RolloutStep step) =>
        (step.Changes.Count(c => c is ClusterChange.RemoveInstance or ClusterChange.PutInstance { Instance.Goal: InstanceGoal.Removed }), step.Changes.Count(c => c is ClusterChange.PutInstance { Instance.State: InstanceState.Scheduled }));

    /// <returns>Steps it took.</returns>
    public int ToTheEnd()
    {
        for (var steps = 1; steps < 2000; steps++)
        {
            var step = Next();
            if (step.Done)
            {
                Assert.All(Copies, i => Assert.True(i.Goal == InstanceGoal.Running && i.TakesOver && Rollout.IsCurrent(_app, i), $"{i} is left at the end"));
                Assert.Equal(_app.Spec.Instances, Copies.Count);
                return steps;
            }
            var before = Serving;
            State = State.Apply(step.Changes);
            Assert.True(Serving >= Math.Min(_bounds.MinHealthy, before), $"{Serving} serve, {before} did, {_bounds} says so");
            Assert.InRange(Copies.Count, 0, _mostAlive);
            if (!step.Changes.IsEmpty) continue;
            Assert.False(string.IsNullOrEmpty(step.WaitsFor));
            Assert.True(Happens(), $"stands still: {step.WaitsFor}");
            Assert.InRange(Copies.Count, 0, _mostAlive);
        }
        throw new Xunit.Sdk.XunitException($"no end: {Next().WaitsFor}");
    }

    /// <summary>One thing of those that can happen now; false: nothing can.</summary>
    private bool Happens()
    {
        if (_deaths > 0 && _chance.NextDouble() < 0.05)
        {
            var mortal = Copies.Where(i => i is { Goal: InstanceGoal.Running, Node: not null }).ToList();
            if (mortal.Count > 0)
            {
                _deaths--;
                // Its container ended, or its node was lost: it wants another place.
                State = State.Apply([new ClusterChange.PutInstance(mortal[(int)(_chance.NextDouble() * mortal.Count)].WithoutPlace())]);
                return true;
            }
        }
        var able = Copies.Select(i => (Copy: i, After: After(i))).Where(c => c.After is not null).ToList();
        if (able.Count == 0) return false;
        var (copy, after) = able[(int)(_chance.NextDouble() * able.Count)];
        State = State.Apply([after!]);
        return true;
    }

    private ClusterChange? After(Instance copy) => copy switch
    {
        { Goal: InstanceGoal.Removed } => new ClusterChange.RemoveInstance(copy.Id),
        _ when !Rollout.IsCurrent(_app, copy) => null,
        { Node: null } => new ClusterChange.PutInstance(copy with { Node = new("node1"), State = InstanceState.Staging }),
        { Runs: false } => new ClusterChange.PutInstance(copy with { State = InstanceState.Running }),
        { Healthy: not true } => new ClusterChange.PutInstance(copy with { Healthy = true }),
        { Ready: false } => new ClusterChange.PutInstance(copy with { Readiness = [new("warm", true, null)] }),
        _ => _relapses-- > 0 && _chance.NextDouble() < 0.2 ? new ClusterChange.PutInstance(copy with { Healthy = false }) : null,
    };
}

/// <summary>Chance that repeats itself from its seed.</summary>
internal sealed class Dice(int seed) : IChance
{
    private readonly Random _random = new(seed);
    private int _made;
    public Guid NewGuid() => new(++_made, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0]);
    public double NextDouble() => _random.NextDouble();
}
