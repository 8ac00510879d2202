using Drover.Contracts.Api;
using Xunit;
using static Drover.EndToEnd.Tests.LabFixture;

namespace Drover.EndToEnd.Tests;

[Trait("needs", "root")]
public sealed class JourneyTests(LabFixture lab) : IAsyncLifetime
{
    private const string App = "/journey", Data = "journeydata", Address = "10.255.0.40";

    public async ValueTask InitializeAsync()
    {
        await lab.Deploy(Definitions.Sleeper(App, Data, Address));
        await lab.Serving(App);
    }

    public async ValueTask DisposeAsync() => await lab.Delete(App);

    [Fact]
    public async Task There_and_back_five_times_keeps_every_byte_and_the_address()
    {
        var here = Node1;
        await Write(here, 0);
        for (var hop = 1; hop <= 10; hop++)
        {
            var before = await Hash(here);
            var there = here == Node1 ? Node2 : Node1;
            var move = await lab.Ended((await lab.Begin(new MoveRequest(App, null, there == Node2 ? "disk=ssd" : "disk=spinning", false, 0))).Id);
            Assert.Equal("Done", move.State);
            Assert.Equal(before, await Hash(there));
            Assert.Contains(Address, await On(there, "docker", "exec", await Container(there, App), "cat", "/proc/net/fib_trie"), StringComparison.Ordinal);
            if (hop > 1) Assert.True(move.BytesSent < 16 << 20, $"hop {hop} sent {move.BytesSent} bytes: the way back must be incremental");
            await Write(there, hop);
            here = there;
        }
    }

    /// <summary>Writes, overwrites, renames and deletes, so that a wrong base would show.</summary>
    private static async Task Write(string node, int hop)
    {
        var container = await Container(node, App);
        await On(node, "docker", "exec", container, "sh", "-c",
            $"cd /data && mkdir -p d && dd if=/dev/urandom of=f{hop % 3} bs=64k count=40 status=none && dd if=/dev/urandom of=big bs=64k count=4 seek={hop * 7} conv=notrunc status=none && " +
            $"for i in 1 2 3 4 5 6 7 8 9; do echo {hop}-$i > d/{hop}-$i; done && (mv d/{hop - 1}-1 d/moved-{hop} 2>/dev/null || true) && rm -f d/{hop - 2}-* && chown 1234:4321 big && ln -sf big link && sync -f .");
    }

    private static async Task<string> Hash(string node) => await On(node, "docker", "exec", await Container(node, App), "sh", "-c",
        "cd /data && { find . -type f -print0 | sort -z | xargs -0 sha256sum; find . -printf '%p %y %m %U %G %l\\n' | sort; } | sha256sum");

    [Fact]
    public async Task A_move_to_where_it_is_to_nowhere_and_a_second_move_are_refused_and_change_nothing()
    {
        var here = await Control("move", App, "--to", Node1);
        Assert.Equal(1, here.ExitCode);
        Assert.Contains(Node1, here.Error, StringComparison.Ordinal);
        var nowhere = await Control("move", App, "--to", "node9");
        Assert.NotEqual(0, nowhere.ExitCode);
        Assert.Contains("node9", nowhere.Error, StringComparison.Ordinal);
        var first = await lab.Begin(new MoveRequest(App, null, "disk=ssd", false, 0));
        var second = await Control("move", App, "--constraint", "disk=ssd");
        Assert.Equal(1, second.ExitCode);
        await lab.Ended(first.Id);
    }
}
