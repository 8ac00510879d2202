using Drover.Agent.Networks;
using Drover.Conformance;
using Drover.Testing.Networks;

namespace Drover.Agent.Tests.Networks;

public sealed class FakeOverlayTests : OverlaySuite
{
    protected override Task<IOverlayWorld> Open() => Task.FromResult<IOverlayWorld>(new FakeWorld());

    private sealed class FakeWorld : IOverlayWorld
    {
        private readonly FakeFabric _fabric = new();

        public string AddressOf(string node) => node == "n1" ? "10.99.0.1" : "10.99.0.2";
        public IOverlay Agent(string node) => _fabric.Overlay(node, AddressOf(node));
        public Task<string> Place(string node, string link, string address) => Task.FromResult($"{AddressOf(node)} {link}");
        public Task<bool> Reaches(string container, string address) => Task.FromResult(_fabric.Reaches(container.Split(' ')[0], container.Split(' ')[1], address));
        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
