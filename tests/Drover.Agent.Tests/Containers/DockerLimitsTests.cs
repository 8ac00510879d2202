using Drover.Agent.Containers;
using Drover.Agent.Containers.Docker;
using Drover.Contracts.Agent;
using Xunit;

namespace Drover.Agent.Tests.Containers;

public sealed class DockerLimitsTests
{
    private const long MiB = 1024 * 1024;

    [Theory]
    [InlineData(0, 0, 50_000, 64)]
    [InlineData(2, 0, 200_000, 64)]
    [InlineData(0, 128, 50_000, 128)]
    [InlineData(-1, -1, 0, 0)]
    public void A_container_may_use_what_is_set_aside_or_its_own_limit_or_all_there_is(double cpus, double memory, long quota, long most)
    {
        var (host, _) = Made(cpus, memory);
        Assert.Equal((quota, most * MiB, 512L), (host.CPUQuota, host.Memory, host.CPUShares));
    }

    [Fact]
    public void A_limit_makes_another_order_and_none_leaves_it_as_it_was()
    {
        Assert.Equal(Made(0, 0).Hash, Made(0, 0).Hash);
        Assert.Equal(3, new[] { Made(0, 0).Hash, Made(2, 0).Hash, Made(0, 128).Hash }.Distinct().Count());
    }

    private static (Docker.DotNet.Models.HostConfig Host, string Hash) Made(double cpus, double memory)
    {
        var order = new ContainerOrder(new DesiredInstance { TaskId = "t.1", Container = new() { Image = "i", Cpus = 0.5, MemoryMib = 64, CpuLimit = cpus, MemoryLimitMib = memory } }, [], "");
        return (DockerOrder.Of(order, "hash").HostConfig!, OrderHash.Of(order));
    }
}
