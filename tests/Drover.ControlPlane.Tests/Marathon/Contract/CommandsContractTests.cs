using Xunit;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>With `--command-image`: apps of a command alone, which Mesos ran in no image, as in most of Marathon's own examples.</summary>
public sealed class CommandsContractTests(CommandsContractTests.WithImage server) : IClassFixture<CommandsContractTests.WithImage>
{
    public sealed class WithImage : MarathonServer
    {
        protected override ControlPlaneOptions With(ControlPlaneOptions options) => options with { CommandImage = "debian:12" };
    }

    [Fact]
    public async Task A_command_without_a_container_runs_in_the_image_and_shows_none()
    {
        var id = server.NewId("sleep");
        await server.Deployed(server.Post("/v2/apps", $$"""{"id":"{{id}}","cmd":"sleep 1000","cpus":0.1,"mem":32,"instances":1}"""));
        var order = server.Ordered(id);
        Assert.Equal(("debian:12", "sleep 1000", "host"), (order.Container.Image, order.Container.Command, order.Container.Network));
        Assert.False(order.Container.Env.ContainsKey("MARATHON_APP_DOCKER_IMAGE"));
        Assert.True(order.Container.Env.ContainsKey("PORT0"));
        var app = (await server.Get($"/v2/apps{id}"))["app"];
        Assert.False(app.TryGetProperty("container", out _));
        Assert.Equal("""[{"mode":"host"}]""", app.GetProperty("networks").GetRawText());
        await server.Deployed(server.Put($"/v2/apps{id}", """{"cmd":"sleep 2000"}"""));
        Assert.Equal("debian:12", server.Ordered(id).Container.Image);
        await server.Deployed(server.Put($"/v2/apps{id}", """{"container":{"docker":{"image":"alpine"}}}"""));
        Assert.Equal("alpine", (await server.Get($"/v2/apps{id}"))["app"].GetProperty("container").GetProperty("docker").GetProperty("image").GetString());
    }

    [Fact]
    public async Task A_mesos_container_with_a_persistent_volume_keeps_its_form()
    {
        var id = server.NewId("persistent");
        await server.Deployed(server.Post("/v2/apps", $$$"""
            {"id":"{{{id}}}","cmd":"touch data/foo; sleep 1000","cpus":0.1,"mem":32,"container":{"type":"MESOS","volumes":[{"containerPath":"data","mode":"RW","persistent":{"size":100}}]},
             "residency":{"taskLostBehavior":"WAIT_FOREVER"} }
            """));
        Assert.Equal("""{"type":"MESOS","volumes":[{"containerPath":"data","mode":"RW","persistent":{"size":100,"type":"root"}}]}""", (await server.Get($"/v2/apps{id}"))["app"].GetProperty("container").GetRawText());
        var parameter = Assert.Single(server.Ordered(id).Container.Parameters);
        Assert.Equal(("workdir", "/mnt/mesos/sandbox"), (parameter.Key, parameter.Value));
    }

    [Fact]
    public async Task Neither_command_nor_image_is_still_refused()
    {
        (await server.Post("/v2/apps", $$"""{"id":"{{server.NewId("nothing")}}"}""")).Refused("/container");
        (await server.Post("/v2/apps", $$$"""{"id":"{{{server.NewId("noimage")}}}","cmd":"a b","container":{"docker":{} } }""")).Refused("/container/docker/image");
    }
}

/// <summary>Without it.</summary>
public sealed class NoCommandImageContractTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    [Fact]
    public async Task A_command_alone_is_refused_with_both_remedies()
    {
        var error = (await server.Post("/v2/apps", """{"id":"/alone","cmd":"sleep 1000"}""")).Refused("/container");
        Assert.Contains("postgres:15", error, StringComparison.Ordinal);
        Assert.Contains("--command-image", error, StringComparison.Ordinal);
    }
}
