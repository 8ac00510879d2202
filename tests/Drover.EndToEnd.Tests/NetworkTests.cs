using Drover.Contracts.Api;
using Xunit;
using static Drover.EndToEnd.Tests.LabFixture;

namespace Drover.EndToEnd.Tests;

[Trait("needs", "root")]
public sealed class NetworkTests(LabFixture lab)
{
    [Fact]
    public async Task An_address_is_reached_from_both_nodes_before_and_at_once_after_a_move()
    {
        const string mover = "/net-mover", stays = "/net-stays";
        await lab.Deploy(Definitions.Sleeper(mover, "netdata", "10.255.0.50"));
        await lab.Deploy(Definitions.Sleeper(stays, "netstays", "10.255.0.51"));
        await lab.Serving(mover);
        await lab.Serving(stays);
        var from = await Container(Node1, stays);
        await Answers(from, Node1);
        Assert.Equal("Done", (await lab.Ended((await lab.Begin(new MoveRequest(mover, null, "disk=ssd", false, 0))).Id)).State);
        await Answers(from, Node2);
        await lab.Delete(mover);
        await lab.Delete(stays);
    }

    /// <summary>A TCP handshake to the mover: it listens in its container, the other one dials it over the overlay.</summary>
    private static async Task Answers(string from, string at)
    {
        var container = await Container(at, "/net-mover");
        // perl is in the image as part of Debian's base; it answers one connection with the name of its machine.
        await On(at, "docker", "exec", "-d", container, "perl", "-MIO::Socket::INET", "-e",
            $"my $s = IO::Socket::INET->new(LocalPort => 7777, Listen => 1, ReuseAddr => 1) or die $!; my $c = $s->accept; print $c \"hello from {at}\\n\"; close $c");
        string heard = "";
        await Until($"{at} to answer over the overlay", async () => (heard = (await Tool("lab", "shell", "--name", Name, Node1, "--", "docker", "exec", from, "perl", "-MIO::Socket::INET", "-e",
            "my $s = IO::Socket::INET->new(PeerAddr => '10.255.0.50:7777', Timeout => 5) or exit 1; print <$s>")).Output).Contains("hello", StringComparison.Ordinal));
        Assert.Equal($"hello from {at}", heard.Trim());
    }
}
