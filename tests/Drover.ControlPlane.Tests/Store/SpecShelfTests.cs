using System.Text;
using Drover.ControlPlane.Store;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.State;
using Drover.Testing;
using Xunit;

namespace Drover.ControlPlane.Tests.Store;

/// <summary>A spec is stored once for all copies that run by it.</summary>
public sealed class SpecShelfTests
{
    private static Instance Copy(int number, AppSpec? spec = null) => Samples.Instance with { Id = new($"c{number}"), Spec = spec ?? Samples.Instance.Spec };

    private static async Task<IReadOnlyList<StoredEntry>> Specs(TestCluster cluster) => await cluster.Store.List("specs/", CancellationToken.None);

    [Fact]
    public async Task Copies_of_one_version_share_one_entry_and_one_object()
    {
        await using var cluster = await TestCluster.Start([.. Enumerable.Range(0, 50).Select(i => new ClusterChange.PutInstance(Copy(i)))]);
        Assert.Single(await Specs(cluster));
        await cluster.Restart();
        Assert.Equal(50, cluster.Current.Instances.Count);
        Assert.All(cluster.Current.Instances.Values, copy => Assert.Same(cluster.Current.Instances[new("c0")].Spec, copy.Spec));
        Assert.Equal(Copy(7), cluster.Current.Instances[new("c7")]);
    }

    [Fact]
    public async Task An_app_shares_its_spec_with_its_copies_after_a_restart()
    {
        await using var cluster = await TestCluster.Start(new ClusterChange.PutApp(Samples.App), new ClusterChange.PutInstance(Copy(1, Samples.App.Spec)));
        await cluster.Restart();
        Assert.Same(cluster.Current.Instances[new("c1")].Spec, cluster.Current.Apps[Samples.App.Id].Spec);
    }

    [Fact]
    public async Task It_goes_with_the_last_copy_that_names_it()
    {
        var other = Samples.Instance.Spec with { Cpus = 3 };
        await using var cluster = await TestCluster.Start(new ClusterChange.PutInstance(Copy(1)), new ClusterChange.PutInstance(Copy(2)), new ClusterChange.PutInstance(Copy(3, other)));
        Assert.Equal(2, (await Specs(cluster)).Count);
        await cluster.Given(new ClusterChange.RemoveInstance(new("c1")), new ClusterChange.PutInstance(Copy(3)));
        Assert.Single(await Specs(cluster));
        await cluster.Restart();
        await cluster.Given(new ClusterChange.RemoveInstance(new("c2")));
        Assert.Single(await Specs(cluster));
        await cluster.Given(new ClusterChange.RemoveInstance(new("c3")));
        Assert.Empty(await Specs(cluster));
        await cluster.Given(new ClusterChange.PutInstance(Copy(4)));
        await cluster.Restart();
        Assert.Equal(Copy(4), cluster.Current.Instances[new("c4")]);
    }

    /// <summary>A change and its way back make two objects that say the same; with the last copy goes what is known of both.</summary>
    [Fact]
    public async Task It_is_stored_again_from_another_object_that_says_the_same()
    {
        var (one, same) = (Samples.Instance.Spec with { Cpus = 3 }, Samples.Instance.Spec with { Cpus = 3 });
        await using var cluster = await TestCluster.Start(new ClusterChange.PutInstance(Copy(1, one)), new ClusterChange.PutInstance(Copy(2, same)));
        await cluster.Given(new ClusterChange.RemoveInstance(new("c1")), new ClusterChange.RemoveInstance(new("c2")));
        Assert.Empty(await Specs(cluster));
        await cluster.Given(new ClusterChange.PutInstance(Copy(3, same)));
        await cluster.Restart();
        Assert.Equal(Copy(3, one), cluster.Current.Instances[new("c3")]);
    }

    [Fact]
    public async Task A_copy_that_was_stored_with_its_spec_inside_is_read_and_written_anew()
    {
        await using var cluster = await TestCluster.Start();
        var change = new ClusterChange.PutInstance(Copy(1));
        await cluster.Store.Commit([new StateWrite(ClusterSchema.KeyOf(change), ClusterSchema.ValueOf(change), 0)], CancellationToken.None);
        await cluster.Restart();
        Assert.Equal(Copy(1), cluster.Current.Instances[new("c1")]);
        await cluster.Given(new ClusterChange.PutInstance(Copy(1) with { WaitsFor = "a word" }));
        Assert.Single(await Specs(cluster));
        await cluster.Restart();
        Assert.Equal(Copy(1) with { WaitsFor = "a word" }, cluster.Current.Instances[new("c1")]);
    }

    [Fact]
    public async Task A_copy_whose_spec_is_gone_is_damage_and_named()
    {
        await using var cluster = await TestCluster.Start(new ClusterChange.PutInstance(Copy(1)));
        await cluster.Store.Commit([new StateWrite((await Specs(cluster))[0].Key, null, null)], CancellationToken.None);
        var error = await Assert.ThrowsAsync<InvalidDataException>(cluster.Restart);
        Assert.Contains("'instances/c1'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_copys_entry_stays_short_whatever_its_spec_says()
    {
        var large = Samples.Instance.Spec with { Env = [.. Enumerable.Range(0, 200).Select(i => new EnvVar($"VARIABLE_{i}", new string('x', 100)))] };
        await using var cluster = await TestCluster.Start(new ClusterChange.PutInstance(Copy(1, large)));
        var entry = Assert.Single(await cluster.Store.List("instances/", CancellationToken.None));
        Assert.DoesNotContain("VARIABLE_", Encoding.UTF8.GetString(entry.Value.Span), StringComparison.Ordinal);
        Assert.True(entry.Value.Length < 4096, $"{entry.Value.Length} bytes");
    }
}
