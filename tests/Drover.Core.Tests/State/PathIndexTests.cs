using CsCheck;
using Drover.Core.Apps;
using Drover.Core.Groups;
using Drover.Core.State;
using Drover.Core.Tests.Groups;
using Xunit;
using static Drover.Core.Tests.Groups.Shop;

namespace Drover.Core.Tests.State;

/// <summary>Groups, versions, deployments and who holds what, after any changes: as in a state that was read from the store just now.</summary>
public sealed class PathIndexTests
{
    private sealed record Step(int Kind, int App, int Instances);

    private static readonly string[] Groups = ["/", "/g0", "/g1", "/g2", "/g0/sub", "/g1/sub", "/none"];

    [Fact]
    public void After_any_changes_they_answer_as_after_a_start()
    {
        Gen.Select(Gen.Int[0, 6], Gen.Int[0, 8], Gen.Int[0, 3], (kind, app, instances) => new Step(kind, app, instances)).List[1, 25].Sample(steps =>
        {
            var shop = new Shop();
            foreach (var step in steps) Take(shop, step);
            Same(shop.State, Read(shop.State));
        }, iter: 200);
    }

    private static string Id(int app) => app < 6 ? $"/g{app % 3}/a{app}" : $"/g{app % 2}/sub/a{app}";

    private static void Take(Shop shop, Step step)
    {
        var app = new AppId(Id(step.App));
        switch (step.Kind)
        {
            case 0 or 1 or 2:
                var db = App(app.Value, Math.Min(1, step.Instances)) with { Container = new() { Image = "db", Volumes = [new VolumeMount(new($"v{step.App}"), "/d", false, VolumeNaming.HostPath)] } };
                shop.Try(new ChangeSet { Put = [step.App % 2 == 0 ? db : App(app.Value, step.Instances)] }, force: step.Kind == 2);
                break;
            case 3 when shop.State.Apps.ContainsKey(app): shop.Try(new ChangeSet { Remove = [app] }, force: true); break;
            case 4: shop.Put(new GroupWish(new(Groups[1 + step.App % 5])) { Dependencies = step.Instances == 0 ? [] : [new("/base")] }); break;
            case 5: shop.Delete(Groups[1 + step.App % 6], force: step.Instances > 1); break;
            case 6:
                foreach (var deployment in shop.State.Deployments.Values.ToList())
                    shop.Commit((s, now, _) => DeploymentMachine.Next(s, deployment.Id, now, now, new SeededDice()));
                break;
        }
    }

    private static ClusterState Read(ClusterState state) => ClusterState.Empty.Restore(
    [
        .. state.Nodes.Values.Select(n => (ClusterChange)new ClusterChange.PutNode(n)), .. state.Apps.Values.Select(a => new ClusterChange.PutApp(a)), .. state.Instances.Values.Select(i => new ClusterChange.PutInstance(i)),
        .. state.Deployments.Values.Select(d => new ClusterChange.PutDeployment(d)), .. state.Volumes.Values.Select(v => new ClusterChange.PutVolume(v)),
        .. state.Versions.Values.SelectMany(h => h.Values).Select(f => new ClusterChange.PutFormerApp(f)), .. state.Groups.Values.Select(g => new ClusterChange.PutGroup(g)),
    ]);

    private static void Same(ClusterState kept, ClusterState read)
    {
        Assert.Equal(read.Paths.Departed, kept.Paths.Departed);
        Assert.Equal((read.PortHolders.FirstFree, read.PortHolders.ByPort.Count), (kept.PortHolders.FirstFree, kept.PortHolders.ByPort.Count));
        foreach (var group in Groups.Select(g => new GroupId(g)))
        {
            Assert.Equal(kept.Apps.Keys.Where(a => group.Holds(a.Value)), GroupTree.AppsUnder(kept, group).Select(a => a.Id));
            Assert.Equal(GroupTree.GroupsIn(read, group), GroupTree.GroupsIn(kept, group));
            Assert.Equal(GroupTree.Versions(read, group), GroupTree.Versions(kept, group));
            Assert.Equal(GroupTree.Exists(read, group), GroupTree.Exists(kept, group));
        }
        foreach (var app in Enumerable.Range(0, 9).Select(a => new AppId(Id(a))))
        {
            Assert.Equal(kept.Deployments.Values.Where(d => d.AffectedApps.Items.Contains(app)).Select(d => d.Id).ToHashSet(), kept.DeploymentsOf(app).Select(d => d.Id).ToHashSet());
            Assert.Equal(read.DeploymentsOf(app), kept.DeploymentsOf(app));
            Assert.Equal(kept.Volumes.Values.Where(v => v.Holder == app), kept.VolumesHeldBy(app));
        }
    }

    private sealed class SeededDice : IChance
    {
        public Guid NewGuid() => new(Interlocked.Increment(ref _next), 0, 0, [0, 0, 0, 0, 0, 0, 0, 0]);
        public double NextDouble() => 0.5;
        private static int _next;
    }
}
