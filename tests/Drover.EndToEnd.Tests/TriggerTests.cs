using System.Globalization;
using Drover.Contracts.Api;
using Xunit;
using static Drover.EndToEnd.Tests.LabFixture;

namespace Drover.EndToEnd.Tests;

/// <summary>The three ways to say that a database should be elsewhere, each under write load.</summary>
[Trait("needs", "root")]
public sealed class TriggerTests(LabFixture lab) : IAsyncLifetime
{
    private const string Db = "/trigger-db", App = "/trigger-writer", Data = "triggerdata", Address = "10.255.0.20";
    private readonly Writer _writer = new(Node1, 8020);

    public async ValueTask InitializeAsync()
    {
        await lab.Deploy(Definitions.Database(Db, Data, Address));
        await lab.Serving(Db);
        await lab.Deploy(Definitions.Client("writer.json", App, "10.255.0.21", Address, 8020));
        await lab.Serving(App);
        await _writer.More(50);
    }

    public async ValueTask DisposeAsync()
    {
        await lab.Delete(App);
        await lab.Delete(Db);
        _writer.Dispose();
    }

    [Fact]
    public async Task Move_constraint_and_redeploy_each_take_the_data_along_and_lose_nothing()
    {
        var ballast = await Container(Node1, Db);
        await On(Node1, "docker", "exec", ballast, "dd", "if=/dev/urandom", "of=/var/lib/postgresql/data/ballast", "bs=1M", "count=200", "conv=fsync", "status=none");

        var first = await lab.Ended((await lab.Begin(new MoveRequest(Db, null, "disk=ssd", false, 0))).Id);
        await Arrived(first, "move", Node1, Node2);

        await lab.Json(HttpMethod.Put, $"/v2/apps{Db}", Definitions.Database(Db, Data, Address, "spinning"));
        await lab.Serving(Db);
        var second = await lab.Ended((await lab.NewestMoveOf(Db))!.Id);
        await Arrived(second, "constraint", Node2, Node1);
        Assert.True(second.BytesSent * 10 < second.VolumeBytes, $"the way back sent {second.BytesSent} of {second.VolumeBytes} bytes");

        await lab.Delete(Db);
        await lab.Deploy(Definitions.Database(Db, Data, Address, "ssd"));
        await lab.Serving(Db);
        var third = await lab.Ended((await lab.NewestMoveOf(Db))!.Id);
        await Arrived(third, "redeploy", Node1, Node2);
        Assert.True(third.BytesSent * 10 < third.VolumeBytes, $"the third move sent {third.BytesSent} of {third.VolumeBytes} bytes");

        var (acknowledged, lost, duplicated) = await _writer.StopAndVerify();
        Assert.True(acknowledged > 100, $"only {acknowledged.ToString(CultureInfo.InvariantCulture)} rows were acknowledged");
        Assert.Equal((0, 0), (lost, duplicated));
    }

    private async Task Arrived(MoveView move, string trigger, string from, string to)
    {
        Assert.Equal(("Done", trigger, from, to), (move.State, move.Trigger, move.From, move.To));
        await _writer.More(20);
        Assert.Equal(to, (await lab.Volume(Data)).Primary);
        Assert.Contains($"/flocker/{Data}", await On(to, "findmnt", "-n", "-o", "TARGET", "--list", "-t", "btrfs"), StringComparison.Ordinal);
        Assert.DoesNotContain($"/flocker/{Data}", (await Tool("lab", "shell", "--name", Name, from, "--", "findmnt", "-n", "-o", "TARGET", "--list", "-t", "btrfs")).Output, StringComparison.Ordinal);
    }
}
