using Drover.Core.Apps;
using Drover.Core.Groups;
using Drover.Core.State;
using Drover.Core.Tests.Apps;
using Xunit;

namespace Drover.Core.Tests.Groups;

/// <summary>A cluster that takes decisions as the real one does, its former versions with them.</summary>
internal sealed class Shop
{
    private int _next;

    public ClusterState State { get; private set; } = Given.Cluster(Given.Node("node1", cpus: 1000, memory: 1_000_000));
    public DateTimeOffset Now { get; private set; } = Given.Noon;

    public static AppSpec App(string id, int instances = 1, params string[] dependsOn) => new()
    {
        Id = new(id), Command = "run", Cpus = 0.1, MemoryMiB = 1, Instances = instances, Dependencies = dependsOn.Select(d => new AppId(d)).ToEquatableList(),
    };

    public DeploymentId NextId() => new($"d{++_next}");

    public T Commit<T>(Func<ClusterState, DateTimeOffset, DeploymentId, Decision<T>> decide)
    {
        Now += TimeSpan.FromSeconds(1);
        var decision = decide(State, Now, NextId());
        if (!decision.Changes.IsDefaultOrEmpty) State = State.Apply([.. decision.Changes, .. Retention.Due(State, decision.Changes)]);
        return decision.Outcome;
    }

    public ChangeOutcome.Accepted Put(params AppSpec[] specs) => Assert.IsType<ChangeOutcome.Accepted>(Try(new ChangeSet { Put = [.. specs] }));
    public ChangeOutcome Try(ChangeSet set, bool force = false) => Commit((s, now, id) => AppChanges.Change(s, set, force, now, id));
    public ChangeOutcome Delete(string group, bool force = false) => Commit((s, now, id) => GroupChanges.Delete(s, new(group), force, now, id));
    public ChangeOutcome Put(GroupWish wish, bool force = false) => Commit((s, now, id) => GroupChanges.Put(s, wish, force, now, id));
    public CancelOutcome Cancel(DeploymentId deployment, bool force = false) => Commit((s, now, id) => AppChanges.Cancel(s, deployment, force, now, id));

    /// <summary>Deployments end as if every copy had done what it was told.</summary>
    public void Settle() => State = State.Apply(State.Deployments.Keys.Select(id => new ClusterChange.RemoveDeployment(id)));

    public Deployment Only => Assert.Single(State.Deployments.Values);

    /// <summary>`Start /a /b | Scale /a, Restart /c`</summary>
    public static string Said(EquatableList<DeploymentStep> steps) => string.Join(" | ", steps.Select(s => string.Join(", ", s.Actions.Items.GroupBy(a => a.Kind)
        .Select(g => $"{g.Key.ToString().Replace("Application", "", StringComparison.Ordinal)} {string.Join(' ', g.Select(a => a.App))}"))));

    public Dictionary<AppId, AppSpec> Specs() => State.Apps.ToDictionary(a => a.Key, a => a.Value.Spec);
}
