using Drover.Agent.Containers;
using Drover.Conformance;
using Drover.Testing.Agents;

namespace Drover.Agent.Tests;

public sealed class FakeContainerRuntimeTests : ContainerRuntimeSuite
{
    protected override IContainerRuntime Runtime { get; } = new FakeContainerRuntime(TimeProvider.System);
    protected override string Image => "app";
}
