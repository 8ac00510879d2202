using System.Text.Json.Nodes;
using Xunit;
using static Drover.EndToEnd.Tests.LabFixture;

namespace Drover.EndToEnd.Tests;

/// <summary>A volume goes back to a snapshot while what does it is killed: it ends with the old data live, the newer kept, and the app serving.</summary>
[Trait("needs", "root")]
public sealed class RestoreKillTests(LabFixture lab) : IAsyncLifetime
{
    private static int s_number;
    private readonly string _app = $"/restore-kill{++s_number}", _data = $"restorekilldata{s_number}";

    public async ValueTask InitializeAsync()
    {
        await lab.Deploy(Definitions.Sleeper(_app, _data, "10.255.0.70"));
        await lab.Serving(_app);
        await Write("old");
        (await Control("volume", "snapshot", _data, "good")).Must();
        await Write("new");
    }

    public async ValueTask DisposeAsync() => await lab.Delete(_app);

    private async Task Write(string row) => await On(Node1, "docker", "exec", await Container(Node1, _app), "sh", "-c", $"echo {row} > /data/row && sync /data/row");

    /// <param name="stage">Killed as soon as the work is at this stage, or past it.</param>
    [Theory]
    [InlineData(Node1, "agent", "Stopping")]
    [InlineData(Node1, "agent", "Taking")]
    [InlineData(Node1, "agent", "Making")]
    [InlineData("master", "control", "Stopping")]
    [InlineData("master", "control", "Taking")]
    [InlineData("master", "control", "Making")]
    public async Task The_restore_ends_well(string machine, string process, string stage)
    {
        var operation = (await lab.Json(HttpMethod.Post, $"/api/v1/volumes/{_data}/restore", """{"snapshot": "good"}"""))!["id"]!.GetValue<string>();
        await Until($"the restore to be {stage}", async () => Order(await Stage(operation)) >= Order(stage));
        await Kill(machine, process);
        await Start(machine, process);
        await Until("the restore to end", async () => Order(await Stage(operation)) == Order("Done"));
        await lab.Serving(_app);
        Assert.Equal("old", (await On(Node1, "docker", "exec", await Container(Node1, _app), "cat", "/data/row")).Trim());
        var safety = (await lab.Json(HttpMethod.Get, $"/api/v1/operations/{operation}"))!["safety"]!.GetValue<string>();
        Assert.Equal("new", (await On(Node1, "cat", $"{PoolOf(Node1)}/volumes/{_data}/snapshots/s-{safety}/data/row")).Trim());
    }

    private async Task<string> Stage(string operation) => (await lab.Json(HttpMethod.Get, $"/api/v1/operations/{operation}"))!["stage"]!.GetValue<string>();

    private static int Order(string stage) => Array.IndexOf(["Stopping", "Taking", "Making", "Done"], stage) is >= 0 and var order ? order : throw new InvalidOperationException($"the restore is {stage}");
}
