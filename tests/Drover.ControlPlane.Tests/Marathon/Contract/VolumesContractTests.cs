using System.Text.Json;
using Drover.Core;
using Drover.Core.Volumes;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>Marathon's three kinds of volumes with data in them, all of them volumes of ours: they move where Marathon pins.</summary>
public sealed class VolumesContractTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    private static string Resident(string id, string persistent = "\"size\":512", string more = "") => $$$"""
        {"id":"{{{id}}}","cpus":0.1,"mem":32,"container":{"type":"DOCKER","docker":{"image":"postgres:15"},"volumes":[
          {"containerPath":"pgdata","mode":"RW","persistent":{ {{{persistent}}} }},{"containerPath":"/var/lib/postgresql/data","hostPath":"pgdata","mode":"RW"}]}{{{more}}} }
        """;

    private static string External(string id, string external, string more = "") =>
        $$$"""{"id":"{{{id}}}","cpus":0.1,"mem":32,"container":{"docker":{"image":"postgres:15"},"volumes":[{"containerPath":"/data","mode":"RW","external":{ {{{external}}} }}]}{{{more}}} }""";

    [Fact]
    public async Task A_persistent_volume_is_a_volume_of_ours_seen_where_the_app_says()
    {
        var id = server.NewId("shop/pg");
        await server.Deployed(server.Post("/v2/apps", Resident(id, "\"type\":\"root\",\"size\":512")));
        var name = new VolumeName($"{id[1..].Replace('/', '_')}.pgdata");
        var volume = server.State.Volumes[name];
        Assert.Equal((new AppId(id), ByteCount.MiB(512)), (volume.Holder, volume.Size));
        var order = server.Ordered(id);
        var mounted = Assert.Single(order.Volumes);
        Assert.Equal((name.Value, "/var/lib/postgresql/data", false), (mounted.Name, mounted.ContainerPath, mounted.ReadOnly));
        Assert.Empty(order.Container.HostMounts);
        Assert.False(order.Container.Env.ContainsKey("MESOS_SANDBOX"));

        var app = (await server.Get($"/v2/apps{id}"))["app"];
        Assert.Equal("""[{"containerPath":"pgdata","mode":"RW","persistent":{"size":512,"type":"root"}},{"containerPath":"/var/lib/postgresql/data","hostPath":"pgdata","mode":"RW"}]""", app.GetProperty("container").GetProperty("volumes").GetRawText());
        Assert.Equal("""{"relaunchEscalationTimeoutSeconds":3600,"taskLostBehavior":"WAIT_FOREVER"}""", app.GetProperty("residency").GetRawText());
        Assert.Equal("disabled", app.GetProperty("unreachableStrategy").GetString());
        Assert.Equal("""{"maximumOverCapacity":0,"minimumHealthCapacity":0.5}""", app.GetProperty("upgradeStrategy").GetRawText());
        var local = Assert.Single(app.GetProperty("tasks")[0].GetProperty("localVolumes").EnumerateArray());
        var uuid = local.GetProperty("uuid").GetGuid();
        Assert.Equal((id, "pgdata", $"{id[1..].Replace('/', '_')}#pgdata#{uuid:d}"), (local.GetProperty("runSpecId").GetString(), local.GetProperty("containerPath").GetString(), local.GetProperty("persistenceId").GetString()));
    }

    [Fact]
    public async Task A_persistent_volume_that_is_not_linked_is_in_the_sandbox()
    {
        var id = server.NewId("sandboxed");
        await server.Deployed(server.Post("/v2/apps", $$$"""{"id":"{{{id}}}","cpus":0.1,"mem":32,"container":{"docker":{"image":"i"},"volumes":[{"containerPath":"data","mode":"RW","persistent":{"size":10}}]}}"""));
        var order = server.Ordered(id);
        Assert.Equal(("/mnt/mesos/sandbox/data", "/mnt/mesos/sandbox"), (Assert.Single(order.Volumes).ContainerPath, order.Container.Env["MESOS_SANDBOX"]));
    }

    [Fact]
    public async Task The_ids_of_a_volume_stay_over_a_restart_of_its_task()
    {
        var id = server.NewId("kept");
        await server.Deployed(server.Post("/v2/apps", Resident(id)));
        var before = Volume((await server.Get($"/v2/apps{id}/tasks"))["tasks"][0]);
        await server.Deployed(server.Post($"/v2/apps{id}/restart"));
        Assert.Equal(before, Volume((await server.Get($"/v2/apps{id}/tasks"))["tasks"][0]));

        static string Volume(JsonElement task) => Assert.Single(task.GetProperty("localVolumes").EnumerateArray()).GetRawText();
    }

    [Fact]
    public async Task A_resident_app_may_change_its_resources_and_not_its_volumes()
    {
        var id = server.NewId("resident");
        await server.Deployed(server.Post("/v2/apps", Resident(id)));
        await server.Deployed(server.Put($"/v2/apps{id}", """{"cpus":0.2,"mem":64}"""));
        await server.Deployed(server.Put($"/v2/apps{id}", Resident(id, "\"size\":1024")));
        Assert.Equal(ByteCount.GiB(1), server.State.Volumes[new VolumeName($"{id[1..]}.pgdata")].Size);
        var refused = await server.Put($"/v2/apps{id}", Resident(id, "\"type\":\"path\",\"size\":1024"));
        Assert.StartsWith("Persistent volumes can not be changed!", refused.Refused("/"), StringComparison.Ordinal);
        refused = await server.Put($"/v2/apps{id}", """{"container":{"docker":{"image":"postgres:16"}}}""");
        Assert.StartsWith("Persistent volumes can not be changed!", refused.Refused("/"), StringComparison.Ordinal);
        refused = await server.Put($"/v2/apps{id}?partialUpdate=false", """{"container":{"docker":{"image":"postgres:16"}}}""");
        refused.Refused("/");
        await server.Deployed(server.Put($"/v2/apps{id}", Resident(id, "\"size\":1024").Replace("postgres:15", "postgres:16", StringComparison.Ordinal)));
        Assert.Equal("postgres:16", (await server.Get($"/v2/apps{id}"))["app"].GetProperty("container").GetProperty("docker").GetProperty("image").GetString());
    }

    [Fact]
    public async Task A_persistent_volume_moves_when_a_changed_constraint_asks_for_it()
    {
        var id = server.NewId("moving");
        await server.Deployed(server.Post("/v2/apps", Resident(id, more: ",\"constraints\":[[\"disk\",\"CLUSTER\",\"spinning\"]]")));
        Assert.Equal(200, (await server.Put($"/v2/apps{id}", """{"constraints":[["rack","CLUSTER","b"]]}""")).Status);
        var move = (await server.Until(s => s.OpenMoves.Any(m => m.App == new AppId(id)), "a move")).OpenMoves.Single(m => m.App == new AppId(id));
        Assert.Equal(("node1", "node3", $"{id[1..]}.pgdata"), (move.Source.Value, move.Target.Value, Assert.Single(move.Volumes.Items).Name.Value));
    }

    [Fact]
    public async Task A_deleted_resident_app_leaves_its_data_and_finds_it_again()
    {
        var id = server.NewId("returns");
        await server.Deployed(server.Post("/v2/apps", Resident(id)));
        var name = new VolumeName($"{id[1..]}.pgdata");
        var (home, epoch) = (server.State.Volumes[name].Primary, server.State.Volumes[name].Epoch);
        await server.Deployed(server.Delete($"/v2/apps{id}"));
        await server.Until(s => s.Volumes[name].Holder is null, "the volume is free");
        await server.Deployed(server.Post("/v2/apps", Resident(id)));
        Assert.Equal((home, epoch), (server.State.Volumes[name].Primary, server.State.Volumes[name].Epoch));
    }

    [Theory]
    [InlineData("\"size\":0", "", "/container/volumes(0)/persistent/size")]
    [InlineData("\"type\":\"root\"", "", "/container/volumes(0)/persistent/size")]
    [InlineData("\"size\":5,\"type\":\"tape\"", "", "/container/volumes(0)/persistent/type")]
    [InlineData("\"size\":5,\"maxSize\":10", "", "/container/volumes(0)/persistent/maxSize")]
    [InlineData("\"size\":5,\"type\":\"mount\",\"maxSize\":5", "", "/container/volumes(0)/persistent/maxSize")]
    [InlineData("\"size\":5,\"type\":\"path\",\"profileName\":\"fast\"", "", "/container/volumes(0)/persistent/profileName")]
    [InlineData("\"size\":5,\"type\":\"path\",\"constraints\":[[\"path\",\"LIKE\",\"/x\"]]", "", "/container/volumes(0)/persistent/constraints")]
    [InlineData("\"size\":5", ",\"instances\":2", "/instances")]
    [InlineData("\"size\":5", ",\"upgradeStrategy\":{\"minimumHealthCapacity\":0.5,\"maximumOverCapacity\":0.5}", "/upgradeStrategy/maximumOverCapacity")]
    [InlineData("\"size\":5", ",\"residency\":{\"taskLostBehavior\":\"GIVE_UP\"}", "/residency/taskLostBehavior")]
    public async Task What_a_persistent_volume_cannot_be_is_refused(string persistent, string more, string path) => (await server.Post("/v2/apps", Resident(server.NewId("bad"), persistent, more))).Refused(path);

    [Theory]
    [InlineData("\"containerPath\":\"/data\",\"mode\":\"RW\"", "/container/volumes(0)/containerPath")]
    [InlineData("\"containerPath\":\"..\",\"mode\":\"RW\"", "/container/volumes(0)/containerPath")]
    [InlineData("\"containerPath\":\"data\",\"mode\":\"RO\"", "/container/volumes(0)/mode")]
    public async Task A_persistent_volume_has_a_relative_path_and_is_written(string volume, string path) =>
        (await server.Post("/v2/apps", $"{{\"id\":\"{server.NewId("bad")}\",\"container\":{{\"docker\":{{\"image\":\"i\"}},\"volumes\":[{{{volume},\"persistent\":{{\"size\":5}}}}]}}}}")).Refused(path);

    [Fact]
    public async Task Residency_is_shown_as_it_was_asked_for()
    {
        var id = server.NewId("asked");
        await server.Deployed(server.Post("/v2/apps", Resident(id, more: ",\"residency\":{\"relaunchEscalationTimeoutSeconds\":10,\"taskLostBehavior\":\"RELAUNCH_AFTER_TIMEOUT\"}")));
        Assert.Equal("""{"relaunchEscalationTimeoutSeconds":10,"taskLostBehavior":"RELAUNCH_AFTER_TIMEOUT"}""", (await server.Get($"/v2/apps{id}"))["app"].GetProperty("residency").GetRawText());
    }

    // ---- external ----

    [Theory]
    [InlineData("\"name\":\"{0}\",\"options\":{\"dvdi/driver\":\"rexray\",\"dvdi/iops\":\"3000\"},\"provider\":\"dvdi\",\"size\":2")]
    [InlineData("\"name\":\"{0}\",\"options\":{\"dvdi/driver\":\"flocker\"},\"provider\":\"dvdi\"")]
    [InlineData("\"name\":\"{0}\",\"provider\":\"drover\",\"size\":1.5")]
    public async Task An_external_volume_is_a_volume_of_ours_and_is_shown_as_it_was_asked_for(string form)
    {
        var id = server.NewId("external");
        var external = form.Replace("{0}", $"{id[1..]}-v", StringComparison.Ordinal);
        await server.Deployed(server.Post("/v2/apps", External(id, external)));
        var shown = (await server.Get($"/v2/apps{id}"))["app"].GetProperty("container").GetProperty("volumes")[0].GetProperty("external");
        using var asked = JsonDocument.Parse($"{{{external}}}");
        Assert.True(JsonElement.DeepEquals(asked.RootElement, shown), shown.GetRawText());
        var volume = server.State.Volumes[new($"{id[1..]}-v")];
        Assert.Equal(new AppId(id), volume.Holder);
        Assert.Equal(asked.RootElement.TryGetProperty("size", out var size) ? (long)(size.GetDouble() * (1L << 30)) : null, volume.Size?.Bytes);
    }

    [Theory]
    [InlineData("\"name\":\"v\",\"provider\":\"dvdi\"", "", "/container/volumes(0)/external/options/\"dvdi/driver\"")]
    [InlineData("\"name\":\"v\",\"provider\":\"csi\"", "", "/container/volumes(0)/external/provider")]
    [InlineData("\"name\":\"v\",\"provider\":\"drover\",\"shared\":true", "", "/container/volumes(0)/external/shared")]
    [InlineData("\"name\":\"a/b\",\"provider\":\"drover\"", "", "/container/volumes(0)/external/name")]
    [InlineData("\"name\":\"v\",\"provider\":\"drover\"", ",\"instances\":2", "/instances")]
    [InlineData("\"name\":\"v\",\"provider\":\"drover\"", ",\"upgradeStrategy\":{\"minimumHealthCapacity\":1}", "/upgradeStrategy/minimumHealthCapacity")]
    [InlineData("\"name\":\"v\",\"provider\":\"drover\"", ",\"upgradeStrategy\":{\"minimumHealthCapacity\":0,\"maximumOverCapacity\":1}", "/upgradeStrategy/maximumOverCapacity")]
    public async Task What_an_external_volume_cannot_be_is_refused(string external, string more, string path) => (await server.Post("/v2/apps", External(server.NewId("bad"), external, more))).Refused(path);

    [Fact]
    public async Task A_volume_or_label_that_comes_later_brings_its_upgrade_strategy_along()
    {
        var id = server.NewId("later");
        await server.Deployed(server.Post("/v2/apps", AppBodies.Minimal(id)));
        await server.Deployed(server.Put($"/v2/apps{id}", $"{{\"container\":{{\"docker\":{{\"image\":\"i\"}},\"volumes\":[{{\"containerPath\":\"/d\",\"mode\":\"RW\",\"external\":{{\"name\":\"{id[1..]}\",\"provider\":\"drover\"}}}}]}}}}"));
        Assert.Equal("""{"maximumOverCapacity":0,"minimumHealthCapacity":0.5}""", await Strategy());
        await server.Deployed(server.Put($"/v2/apps{id}", """{"labels":{"MARATHON_SINGLE_INSTANCE_APP":"true"}}"""));
        Assert.Equal("""{"maximumOverCapacity":0,"minimumHealthCapacity":0}""", await Strategy());

        async Task<string> Strategy() => (await server.Get($"/v2/apps{id}"))["app"].GetProperty("upgradeStrategy").GetRawText();
    }

    [Fact]
    public async Task A_volume_of_another_app_is_refused_with_its_holder()
    {
        var holder = server.NewId("holder");
        await server.Deployed(server.Post("/v2/apps", AppBodies.WithVolume(holder, "taken")));
        Assert.Contains(holder, (await server.Post("/v2/apps", External(server.NewId("second"), "\"name\":\"taken\",\"provider\":\"drover\""))).Refused("/container/volumes(0)/external/name"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_secret_volume_is_refused_with_what_to_do() =>
        Assert.Contains("env", (await server.Post("/v2/apps", $"{{\"id\":\"{server.NewId("secret")}\",\"container\":{{\"docker\":{{\"image\":\"i\"}},\"volumes\":[{{\"containerPath\":\"/s\",\"secret\":\"s\"}}]}}}}")).Refused("/container/volumes(0)/secret"), StringComparison.Ordinal);
}
