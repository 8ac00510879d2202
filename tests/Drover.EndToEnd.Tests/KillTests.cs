using Drover.Contracts.Api;
using Xunit;
using static Drover.EndToEnd.Tests.LabFixture;

namespace Drover.EndToEnd.Tests;

/// <summary>kill -9 in the middle of a move, under write load: nothing lost, one writer, and the move ends moved or undone.</summary>
[Trait("needs", "root")]
public sealed class KillTests(LabFixture lab) : IAsyncLifetime
{
    private const string Db = "/kill-db", App = "/kill-writer", Data = "killdata", Address = "10.255.0.30";
    private const long SlowBytesPerSecond = 30_000_000; // so that the kill falls into the first round
    private readonly Writer _writer = new(Node1, 8030);

    public async ValueTask InitializeAsync()
    {
        await lab.Deploy(Definitions.Database(Db, Data, Address));
        await lab.Serving(Db);
        await lab.Deploy(Definitions.Client("writer.json", App, "10.255.0.31", Address, 8030));
        await lab.Serving(App);
        await _writer.More(50);
        await On(Node1, "docker", "exec", await Container(Node1, Db), "dd", "if=/dev/urandom", "of=/var/lib/postgresql/data/ballast", "bs=1M", "count=150", "conv=fsync", "status=none");
    }

    public async ValueTask DisposeAsync()
    {
        await lab.Delete(App);
        await lab.Delete(Db);
        _writer.Dispose();
    }

    private async Task<MoveView> BeginAndReach(string state)
    {
        var move = await lab.Begin(new MoveRequest(Db, null, "disk=ssd", false, SlowBytesPerSecond));
        await Until($"the move to be {state}", async () =>
        {
            var seen = await lab.Move(move.Id);
            Assert.True(seen.EndedAt is null, $"the move ended as {seen.State} ({seen.Failure}) before it was {state}");
            return seen.State == state && (state != "Seeding" || seen.Progress is { Bytes: > 0 });
        });
        return move;
    }

    private async Task EndsWell(MoveView begun)
    {
        var move = await lab.Ended(begun.Id);
        Assert.Contains(move.State, (string[])["Done", "Undone"]);
        await lab.Serving(Db);
        await _writer.More(20);
        var at = (await lab.Volume(Data)).Primary!;
        Assert.Equal(move.State == "Done" ? Node2 : Node1, at);
        // One writer: on the other machine no container of the database runs and the volume is not mounted.
        var other = at == Node1 ? Node2 : Node1;
        Assert.Equal("", (await On(other, "docker", "ps", "-q", "--filter", $"label=drover.app={Db}")).Trim());
        Assert.DoesNotContain($"/flocker/{Data}", (await Tool("lab", "shell", "--name", Name, other, "--", "findmnt", "-n", "-o", "TARGET", "--list", "-t", "btrfs")).Output, StringComparison.Ordinal);
        var (acknowledged, lost, duplicated) = await _writer.StopAndVerify();
        Assert.True(acknowledged > 70);
        Assert.Equal((0, 0), (lost, duplicated));
    }

    [Fact]
    public async Task The_control_plane_is_killed_and_the_move_goes_on_from_what_is_stored()
    {
        var move = await BeginAndReach("Seeding");
        await Kill("master", "control");
        await _writer.More(20); // the database does not notice
        await Start("master", "control");
        await EndsWell(move);
    }

    [Fact]
    public async Task The_source_agent_is_killed_and_its_containers_go_on()
    {
        var move = await BeginAndReach("Seeding");
        var container = await Container(Node1, Db);
        await Kill(Node1, "agent");
        await _writer.More(20);
        Assert.Equal(container, await Container(Node1, Db));
        await Start(Node1, "agent");
        await EndsWell(move);
    }

    [Fact]
    public async Task The_target_agent_is_killed_and_the_half_received_data_comes_to_nothing()
    {
        var move = await BeginAndReach("Seeding");
        await Kill(Node2, "agent");
        await _writer.More(20);
        await Start(Node2, "agent");
        await EndsWell(move);
        Assert.Equal("", (await On(Node2, "find", $"/var/lib/drover-lab/{Name}/{Node2}/pool/volumes/{Data}/incoming", "-mindepth", "1")).Trim());
    }

    [Fact]
    public async Task The_send_is_killed_and_the_round_is_done_again()
    {
        var move = await BeginAndReach("Seeding");
        // By the pool's path in its arguments: no other send is touched. The brackets keep the search from finding itself.
        var pids = await On(Node1, "pgrep", "-f", $"[b]trfs send .*{Name}/{Node1}/pool/volumes/{Data}/");
        foreach (var pid in pids.Split('\n', StringSplitOptions.RemoveEmptyEntries)) await On(Node1, "kill", "-9", pid.Trim());
        await EndsWell(move);
    }

    [Fact]
    public async Task The_control_plane_is_killed_while_the_database_is_stopped()
    {
        var move = await lab.Begin(new MoveRequest(Db, null, "disk=ssd", false, 0));
        await Until("the move to be past seeding", async () => (await lab.Move(move.Id)).State is not ("Planned" or "Preparing" or "Seeding"));
        await Kill("master", "control");
        await Start("master", "control");
        await EndsWell(move);
    }
}
