using Drover.Core.Apps;
using Drover.Core.Groups;
using Drover.Core.State;
using Drover.Core.Tests.Groups;
using Xunit;
using static Drover.Core.Tests.Groups.Shop;

namespace Drover.Core.Tests.State;

/// <summary>What is kept of what apps were.</summary>
public sealed class VersionHistoryTests
{
    [Fact]
    public void Each_change_keeps_what_was_until_when_and_a_deletion_too()
    {
        var shop = new Shop();
        var first = shop.Put(App("/a")).Version;
        shop.Settle();
        var second = shop.Put(App("/a", 3)).Version;
        shop.Settle();
        var third = Assert.IsType<ChangeOutcome.Accepted>(shop.Try(new ChangeSet { Remove = [new("/a")] })).Version;
        var kept = shop.State.Versions[new("/a")].Values.ToList();
        Assert.Equal([(first, second, 1), (second, third, 3)], kept.Select(f => (f.App.Version, f.Until, f.App.Spec.Instances)));
    }

    [Fact]
    public void What_happened_to_copies_is_no_new_version()
    {
        var shop = new Shop();
        shop.Put(App("/a"));
        var app = shop.State.Apps[new("/a")];
        shop.Commit((_, _, _) => Decision.Of(true, [new ClusterChange.PutApp(app with { Delay = new(TimeSpan.FromSeconds(1), shop.Now, "it ended") })]));
        Assert.Empty(shop.State.Versions);
        shop.Settle();
        shop.Put(App("/a", 2));
        Assert.Null(Assert.Single(shop.State.Versions[new("/a")].Values).App.Delay);
    }

    [Fact]
    public void At_most_fifty_versions_of_an_app_are_known_the_newest()
    {
        var shop = new Shop();
        for (var i = 1; i <= 60; i++)
        {
            shop.Put(App("/a", i));
            shop.Settle();
        }
        Assert.Equal(Enumerable.Range(11, 49), shop.State.Versions[new("/a")].Values.Select(f => f.App.Spec.Instances));
    }

    [Fact]
    public void Of_apps_that_are_gone_the_longest_gone_are_forgotten_but_not_one_a_deployment_may_lead_back_to()
    {
        var shop = new Shop();
        shop.Put([.. Enumerable.Range(0, 505).Select(i => App($"/a{i:000}"))]);
        shop.Settle();
        Assert.IsType<ChangeOutcome.Accepted>(shop.Try(new ChangeSet { Remove = [new("/a000")] }));
        Assert.IsType<ChangeOutcome.Accepted>(shop.Try(new ChangeSet { Remove = [new("/a001"), new("/a002")] }));
        var first = shop.State.DeploymentOf(new("/a000"))!.Id;
        shop.Commit((_, _, _) => Decision.Of(true, [new ClusterChange.RemoveDeployment(shop.State.DeploymentOf(new("/a001"))!.Id)]));
        shop.Try(new ChangeSet { Remove = [.. Enumerable.Range(3, 502).Select(i => new AppId($"/a{i:000}"))] });
        Assert.True(shop.State.Versions.ContainsKey(new("/a000")));
        Assert.False(shop.State.Versions.ContainsKey(new("/a001")));
        Assert.IsType<CancelOutcome.Reverting>(shop.Cancel(first));
        Assert.True(shop.State.Apps.ContainsKey(new("/a000")));
    }

    [Fact]
    public void An_app_made_anew_has_a_later_version_than_any_it_had_and_keeps_them()
    {
        var shop = new Shop();
        shop.Put(App("/a"));
        shop.Settle();
        shop.Try(new ChangeSet { Remove = [new("/a")] });
        shop.Settle();
        var anew = AppChanges.Create(shop.State, App("/a", 2), false, shop.Now.AddHours(-1), new("again"));
        Assert.True(((AppOutcome.Accepted)anew.Outcome).Version > shop.State.Versions[new("/a")].Keys.Last());
        Assert.Single(shop.State.Versions[new("/a")]);
    }

    [Fact]
    public void A_group_stands_at_a_moment_as_its_apps_did()
    {
        var shop = new Shop();
        var first = shop.Put(App("/g/a"), App("/g/b"), App("/other")).Version;
        shop.Settle();
        var second = Assert.IsType<ChangeOutcome.Accepted>(shop.Try(new ChangeSet { Put = [App("/g/a", 2), App("/g/sub/c")], Remove = [new("/g/b")] })).Version;
        shop.Settle();
        Assert.Equal([second, first], GroupTree.Versions(shop.State, new("/g")));
        Assert.Equal([("/g/a", 1), ("/g/b", 1)], At(first));
        Assert.Equal([("/g/a", 2), ("/g/sub/c", 1)], At(second));
        Assert.Null(GroupTree.At(shop.State, new("/g"), first.AddSeconds(-1)));
        var back = Assert.IsType<ChangeOutcome.Accepted>(shop.Commit((s, now, id) => GroupChanges.Rollback(s, new("/g"), first, false, now, id)));
        Assert.Equal("Stop /g/sub/c | Start /g/b | Scale /g/a /g/b", Said(back.Steps));
        Assert.Equal(["/g/a", "/g/b", "/other"], shop.State.Apps.Keys.Select(a => a.Value));

        IEnumerable<(string, int)> At(DateTimeOffset moment) => GroupTree.At(shop.State, new("/g"), moment)!.Apps.Select(a => (a.Id.Value, a.Spec.Instances));
    }

    [Fact]
    public void A_moment_before_what_is_kept_is_refused_and_deletes_nothing()
    {
        var shop = new Shop();
        var first = shop.Put(App("/g/a"), App("/g/b")).Version;
        shop.Settle();
        for (var i = 1; i <= 60; i++)
        {
            shop.Put(App("/g/a", i + 1));
            shop.Settle();
        }
        var refused = Assert.IsType<ChangeOutcome.Invalid>(shop.Commit((s, now, id) => GroupChanges.Rollback(s, new("/g"), first, false, now, id)));
        Assert.Contains("'/g/a'", refused.Errors[0].Message, StringComparison.Ordinal);
        Assert.Equal(2, shop.State.Apps.Count);
    }

    [Fact]
    public void Indexes_by_path_say_what_a_look_at_everything_says()
    {
        var shop = new Shop();
        shop.Put(App("/g/a"), App("/g/sub/b"), App("/g-not/c"), App("/g.x/d"), App("/h"));
        shop.Put(new GroupWish(new("/g/empty")));
        Assert.Equal(["/g/a", "/g/sub/b"], GroupTree.AppsUnder(shop.State, new("/g")).Select(a => a.Id.Value));
        Assert.Equal(["/g/empty", "/g/sub"], GroupTree.GroupsIn(shop.State, new("/g")).Select(g => g.Value));
        Assert.Equal(["/g", "/g-not", "/g.x"], GroupTree.GroupsIn(shop.State, GroupId.Root).Select(g => g.Value).Order(StringComparer.Ordinal));
        Assert.False(GroupTree.Exists(shop.State, new("/g/a/none")));
        Assert.True(GroupTree.Exists(shop.State, new("/g/empty")));
    }
}
