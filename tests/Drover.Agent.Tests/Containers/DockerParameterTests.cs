using Drover.Agent.Containers.Docker;
using Drover.Core.Apps;
using Xunit;

namespace Drover.Agent.Tests.Containers;

public sealed class DockerParameterTests
{
    [Fact]
    public void What_the_control_plane_takes_is_what_the_agent_can_hand_on() =>
        Assert.Equal(DockerOptions.Known.Order(StringComparer.Ordinal), DockerParameters.Names.Order(StringComparer.Ordinal));
}
