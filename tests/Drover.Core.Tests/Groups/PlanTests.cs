using Drover.Core.Apps;
using Drover.Core.Groups;
using Drover.Core.State;
using Drover.Core.Tests.Apps;
using Xunit;
using static Drover.Core.Tests.Groups.Shop;

namespace Drover.Core.Tests.Groups;

/// <summary>Which steps a change of many apps takes, and in which order.</summary>
public sealed class PlanTests
{
    [Fact]
    public void New_apps_are_started_in_one_step_and_scaled_layer_by_layer()
    {
        var shop = new Shop();
        var steps = shop.Put(App("/web", 1, "/api"), App("/api", 1, "/db", "/cache"), App("/db"), App("/cache", 1, "/db"), App("/alone")).Steps;
        Assert.Equal("Start /alone /api /cache /db /web | Scale /alone /db | Scale /cache | Scale /api | Scale /web", Said(steps));
    }

    [Fact]
    public void What_goes_is_stopped_before_what_it_depends_on()
    {
        var shop = new Shop();
        shop.Put(App("/web", 1, "/api"), App("/api", 1, "/db"), App("/db"), App("/alone"));
        shop.Settle();
        var gone = Assert.IsType<ChangeOutcome.Accepted>(shop.Try(new ChangeSet { Remove = [new("/db"), new("/web"), new("/api"), new("/alone")] }));
        Assert.Equal("Stop /web | Stop /api | Stop /alone /db", Said(gone.Steps));
    }

    [Fact]
    public void What_shrinks_to_nothing_does_so_before_what_it_depends_on()
    {
        var shop = new Shop();
        shop.Put(App("/web", 2, "/db"), App("/db"));
        shop.Settle();
        Assert.Equal("Scale /web | Scale /db", Said(shop.Put(App("/web", 0, "/db"), App("/db", 0)).Steps));
        shop.Settle();
        Assert.Equal("Scale /db | Scale /web", Said(shop.Put(App("/web", 2, "/db"), App("/db")).Steps));
    }

    [Fact]
    public void Stops_come_first_then_starts_then_layers_of_scaling_and_restarting_together()
    {
        var shop = new Shop();
        shop.Put(App("/old"), App("/db"), App("/web", 1, "/db"), App("/same"));
        shop.Settle();
        var change = Assert.IsType<ChangeOutcome.Accepted>(shop.Try(new ChangeSet
        {
            Put = [App("/db", 3), App("/web", 1, "/db") with { Cpus = 0.2 }, App("/new"), App("/same")], Remove = [new("/old")],
        }));
        Assert.Equal("Stop /old | Start /new | Scale /db /new | Restart /web", Said(change.Steps));
        Assert.DoesNotContain(new AppId("/same"), shop.Only.AffectedApps.Items);
    }

    [Fact]
    public void The_way_through_apps_that_do_not_change_counts()
    {
        var shop = new Shop();
        shop.Put(App("/top", 1, "/middle"), App("/middle", 1, "/bottom"), App("/bottom"));
        shop.Settle();
        Assert.Equal("Scale /bottom | Scale /top", Said(shop.Put(App("/top", 2, "/middle"), App("/bottom", 2)).Steps));
    }

    [Fact]
    public void A_dependency_on_a_group_is_one_on_all_apps_in_it_and_a_groups_own_holds_for_all_its_apps()
    {
        var shop = new Shop();
        shop.Put(new GroupWish(GroupId.Root)
        {
            Groups =
            [
                new GroupWish(new("/base")) { Apps = [App("/base/db"), App("/base/queue", 1, "/base/db")] },
                new GroupWish(new("/shop")) { Dependencies = [new("/base")], Apps = [App("/shop/web")], Groups = [new GroupWish(new("/shop/back")) { Apps = [App("/shop/back/api")] }] },
            ],
        });
        Assert.Equal("Start /base/db /base/queue /shop/back/api /shop/web | Scale /base/db | Scale /base/queue | Scale /shop/back/api /shop/web", Said(shop.Only.Steps));
        var dependencies = new Dependencies(shop.State);
        Assert.Equal(["/base/db", "/base/queue"], dependencies.Of(new("/shop/back/api")).Select(a => a.Value).Order());
        Assert.Empty(dependencies.Of(new("/base/db")));
    }

    [Fact]
    public void A_group_may_depend_on_one_of_its_own_apps_which_does_not_wait_for_itself()
    {
        var shop = new Shop();
        shop.Put(new GroupWish(new("/shop")) { Dependencies = [new("/shop/db")], Apps = [App("/shop/db"), App("/shop/web")] });
        Assert.Equal("Start /shop/db /shop/web | Scale /shop/db | Scale /shop/web", Said(shop.Only.Steps));
    }

    [Fact]
    public void A_path_nothing_is_at_holds_nobody_up() =>
        Assert.Equal("Start /web | Scale /web", Said(new Shop().Put(App("/web", 1, "/nowhere")).Steps));

    [Theory]
    [InlineData("/a", "/a → /a")]
    [InlineData("/b", "/a → /b → /a")]
    [InlineData("/c", "/a → /c → /b → /a")]
    [InlineData("/g", "/a → /g/x → /a")]
    public void A_circle_is_refused_by_name_and_nothing_changes(string dependency, string circle)
    {
        var shop = new Shop();
        shop.Put(App("/a"), App("/b", 1, "/a"), App("/c", 1, "/b"), App("/g/x", 1, "/a"));
        shop.Settle();
        var before = shop.State;
        var error = Assert.Single(Assert.IsType<ChangeOutcome.Invalid>(shop.Try(new ChangeSet { Put = [App("/a", 1, dependency)] })).Errors);
        Assert.Equal(("/dependencies", $"depend on each other in a circle: {circle}; take one of these dependencies out"), (error.Path, error.Message));
        Assert.Same(before, shop.State);
    }

    [Fact]
    public void A_circle_that_a_groups_dependency_closes_is_refused_too()
    {
        var shop = new Shop();
        shop.Put(App("/base/db", 1, "/shop/web"), App("/shop/web"));
        shop.Settle();
        var outcome = shop.Put(new GroupWish(new("/shop")) { Dependencies = [new("/base")] });
        Assert.Contains("/shop/web → /base/db → /shop/web", Assert.Single(Assert.IsType<ChangeOutcome.Invalid>(outcome).Errors).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_chain_longer_than_any_stack_is_laid_in_order()
    {
        var shop = new Shop();
        var chain = Enumerable.Range(0, 20_000).Select(i => App($"/a{i:00000}", 1, i == 0 ? [] : [$"/a{i - 1:00000}"])).ToList();
        var state = shop.State.Apply(chain.Select(c => new ClusterChange.PutApp(c.App())));
        Assert.Equal(19_999, new Dependencies(state).Layer(chain[^1].Id));
        Assert.Null(new Dependencies(state).Circle(chain.Select(c => c.Id)));
    }

    [Fact]
    public void Many_that_depend_on_many_cost_the_sum_not_the_product()
    {
        var apps = Enumerable.Range(0, 2_000).SelectMany(i => (AppSpec[])[App($"/base/x{i}"), App($"/shop/x{i}", 1, "/base")]);
        var state = ClusterState.Empty.Apply(apps.Select(c => new ClusterChange.PutApp(c.App())));
        var dependencies = new Dependencies(state);
        Assert.All(state.Apps.Keys, app => Assert.Equal(app.Value.StartsWith("/shop", StringComparison.Ordinal) ? 1 : 0, dependencies.Layer(app)));
    }

    [Fact]
    public void At_most_a_hundred_deployments_run_and_one_that_replaces_another_still_may()
    {
        var shop = new Shop();
        for (var i = 0; i < AppChanges.MaxDeployments; i++) shop.Put(App($"/a{i}"));
        Assert.Equal(new ChangeOutcome.TooMany(100), shop.Try(new ChangeSet { Put = [App("/more")] }));
        Assert.IsType<ChangeOutcome.Accepted>(shop.Try(new ChangeSet { Put = [App("/a1", 2)] }, force: true));
        Assert.IsType<CancelOutcome.Stopped>(shop.Cancel(shop.State.DeploymentOf(new("/a1"))!.Id, force: true));
        shop.Put(App("/more"));
    }

    [Theory]
    [InlineData(10, 1.1, 11)]
    [InlineData(3, 0.5, 2)]
    [InlineData(0, 5, 0)]
    [InlineData(7, 0, 0)]
    public void Scaling_rounds_up_what_is_more_than_whole_and_no_more(int instances, double factor, int expected)
    {
        var shop = new Shop();
        shop.Put(App("/g/a", instances));
        shop.Settle();
        Assert.IsType<ChangeOutcome.Accepted>(shop.Commit((s, now, id) => GroupChanges.Scale(s, new("/g"), factor, false, now, id)));
        Assert.Equal(expected, shop.State.Apps[new("/g/a")].Spec.Instances);
    }

    [Fact]
    public void Scaling_over_the_most_an_app_may_have_is_refused()
    {
        var shop = new Shop();
        shop.Put(App("/g/a", 2));
        shop.Settle();
        Assert.Contains("50000", Assert.Single(Assert.IsType<ChangeOutcome.Invalid>(shop.Commit((s, now, id) => GroupChanges.Scale(s, new("/g"), 1e300, false, now, id))).Errors).Message, StringComparison.Ordinal);
    }
}
