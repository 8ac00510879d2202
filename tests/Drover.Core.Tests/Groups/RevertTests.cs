using CsCheck;
using Drover.Core.Apps;
using Drover.Core.Groups;
using Drover.Core.State;
using Xunit;
using static Drover.Core.Tests.Groups.Shop;

namespace Drover.Core.Tests.Groups;

/// <summary>The way back from a deployment, and what replaces one.</summary>
public sealed class RevertTests
{
    [Fact]
    public void A_revert_leads_back_what_the_deployment_changed_and_keeps_what_others_did_meanwhile()
    {
        var shop = new Shop();
        shop.Put(App("/a"), App("/b"), App("/other"));
        shop.Settle();
        var first = shop.Try(new ChangeSet { Put = [App("/a", 5), App("/new")], Remove = [new("/b")] });
        shop.Put(App("/other", 7), App("/another"));
        var back = Assert.IsType<CancelOutcome.Reverting>(shop.Cancel(((ChangeOutcome.Accepted)first).Deployment));
        Assert.Equal([("/a", 1), ("/another", 1), ("/b", 1), ("/other", 7)], shop.State.Apps.Values.Select(a => (a.Id.Value, a.Spec.Instances)));
        Assert.Equal("Stop /new | Start /b | Restart /a, Scale /b", Said(shop.State.Deployments[back.Deployment].Steps));
        Assert.Equal(2, shop.State.Deployments.Count);
    }

    [Fact]
    public void A_revert_of_a_revert_leads_forward_once_and_each_ends_the_one_before()
    {
        var shop = new Shop();
        shop.Put(App("/a"));
        shop.Settle();
        var change = shop.Put(App("/a", 5));
        for (var i = 0; i < 6; i++)
        {
            var back = Assert.IsType<CancelOutcome.Reverting>(shop.Cancel(shop.Only.Id));
            Assert.Equal(back.Deployment, shop.Only.Id);
            Assert.Equal(i % 2 == 0 ? 1 : 5, shop.State.Apps[new("/a")].Spec.Instances);
        }
        shop.Settle();
        Assert.IsType<CancelOutcome.NotFound>(shop.Cancel(change.Deployment));
        Assert.Empty(shop.State.Deployments);
    }

    [Fact]
    public void By_force_a_deployment_stops_where_it_stands()
    {
        var shop = new Shop();
        var change = shop.Put(App("/a"), App("/b"));
        Assert.IsType<CancelOutcome.Stopped>(shop.Cancel(change.Deployment, force: true));
        Assert.Empty(shop.State.Deployments);
        Assert.Equal(2, shop.State.Apps.Count);
    }

    [Fact]
    public void What_a_replaced_deployment_had_still_to_do_is_taken_over()
    {
        var shop = new Shop();
        shop.Put(App("/a"), App("/b", 1, "/a"), App("/c"));
        shop.Settle();
        shop.Try(new ChangeSet { Put = [App("/a") with { Cpus = 0.2 }, App("/b", 1, "/a") with { Cpus = 0.2 }], Remove = [new("/c")] });
        Assert.IsType<ChangeOutcome.Locked>(shop.Try(new ChangeSet { Put = [App("/a", 4)] }));
        var forced = Assert.IsType<ChangeOutcome.Accepted>(shop.Try(new ChangeSet { Put = [App("/a", 4)] }, force: true));
        Assert.Equal("Stop /c | Restart /a | Restart /b", Said(forced.Steps));
        // The way back of the new one is of what it changed alone.
        Assert.Equal([new AppId("/a")], shop.Only.Before.Select(b => b.App));
    }

    [Fact]
    public void All_deployments_that_lock_are_named_and_force_ends_just_those()
    {
        var shop = new Shop();
        var (first, second, third) = (shop.Put(App("/g/a")), shop.Put(App("/g/b")), shop.Put(App("/other")));
        var locked = Assert.IsType<ChangeOutcome.Locked>(shop.Delete("/g"));
        Assert.Equal([first.Deployment, second.Deployment], locked.Deployments.Items);
        Assert.IsType<ChangeOutcome.Accepted>(shop.Delete("/g", force: true));
        Assert.Equal(2, shop.State.Deployments.Count);
        Assert.True(shop.State.Deployments.ContainsKey(third.Deployment));
    }

    [Fact]
    public void A_way_back_that_is_barred_is_refused_and_changes_nothing()
    {
        var shop = new Shop();
        var db = App("/db") with { Container = new() { Image = "db", Volumes = [new VolumeMount(new("data"), "/data", false, VolumeNaming.HostPath)] } };
        shop.Put(db);
        shop.Settle();
        var gone = Assert.IsType<ChangeOutcome.Accepted>(shop.Try(new ChangeSet { Remove = [db.Id] }));
        var taken = shop.State.Volumes[new("data")] with { Holder = new AppId("/thief") };
        shop.Commit((_, _, _) => Decision.Of(true, [new ClusterChange.PutVolume(taken)]));
        var before = shop.State;
        var none = Assert.IsType<CancelOutcome.NoWayBack>(shop.Cancel(gone.Deployment));
        Assert.Contains("/thief", none.Errors[0].Message, StringComparison.Ordinal);
        Assert.Same(before, shop.State);
    }

    private sealed record Request(List<(int App, int Instances, double Cpus)> Put, List<int> Remove, bool Restart);

    private static readonly Gen<Request> Requests = Gen.Select(
        Gen.Select(Gen.Int[0, 7], Gen.Int[0, 3], Gen.Bool.Select(more => more ? 0.2 : 0.1)).List[0, 6], Gen.Int[0, 7].List[0, 4], Gen.Bool, (put, remove, restart) => new Request(put, remove, restart));

    [Fact]
    public void A_deployment_reverted_right_away_leads_to_the_former_specs_and_its_plan_holds_each_app_once()
    {
        Gen.Select(Requests, Requests).Sample((first, second) =>
        {
            var shop = new Shop();
            Apply(shop, first);
            shop.Settle();
            var before = shop.Specs();
            var outcome = Apply(shop, second);
            if (outcome.Steps.Count == 0) return;
            foreach (var deployment in shop.State.Deployments.Values)
                Assert.All(deployment.Steps.SelectMany(s => s.Actions.Items).Where(a => a.Kind != DeploymentActionKind.StartApplication).GroupBy(a => a.App), g => Assert.Single(g));
            Assert.IsType<CancelOutcome.Reverting>(shop.Cancel(outcome.Deployment));
            Assert.Equal(before.OrderBy(s => s.Key), shop.Specs().OrderBy(s => s.Key));
        }, iter: 500);
    }

    private static ChangeOutcome.Accepted Apply(Shop shop, Request request)
    {
        var put = request.Put.DistinctBy(p => p.App).Select(p => App($"/g{p.App % 3}/a{p.App}", p.Instances, p.App > 3 ? [$"/g{(p.App - 3) % 3}/a{p.App - 3}"] : []) with { Cpus = p.Cpus }).ToList();
        var remove = request.Remove.Select(r => new AppId($"/g{r % 3}/a{r}")).Distinct().Where(r => shop.State.Apps.ContainsKey(r) && put.All(p => p.Id != r));
        return Assert.IsType<ChangeOutcome.Accepted>(shop.Try(new ChangeSet { Put = [.. put], Remove = [.. remove], Restart = request.Restart ? [.. put.Select(p => p.Id)] : [] }));
    }
}
