using CsCheck;
using Drover.Core.Apps;
using Drover.Core.State;
using Xunit;

namespace Drover.Core.Tests.Apps;

public sealed class PortHoldersTests
{
    private static AppSpec Spec(int app, IEnumerable<int> ports) => Given.Spec($"/a{app}") with { Ports = ports.Select(p => new PortDefinition(p == 0 ? 0 : ServicePorts.First + p, "tcp", null, [])).ToEquatableList() };

    /// <summary>An index that misses a port would give one to two apps.</summary>
    [Fact]
    public void Ports_are_told_as_by_a_look_at_all_apps()
    {
        Gen.Select(Gen.Int[0, 4], Gen.Int[0, 6].List[0, 3], Gen.Bool).List[1, 20].Sample(steps =>
        {
            var state = ClusterState.Empty;
            foreach (var (app, ports, remove) in steps)
            {
                var asked = Spec(app, ports);
                var taken = state.Apps.Values.Where(a => a.Id != asked.Id).SelectMany(a => a.Spec.Ports.Items).Select(p => p.Port).ToHashSet();
                Assert.Equal(asked.Ports.Items.Where(p => p.Port != 0 && taken.Contains(p.Port)).Select(p => p.Port), ServicePorts.Conflicts(state, asked).Select(e => int.Parse(e.Message.Split(' ')[2], System.Globalization.CultureInfo.InvariantCulture)));
                var given = ServicePorts.Assign(state, asked)!.Ports.Items;
                for (var i = 0; i < given.Length; i++)
                {
                    if (asked.Ports[i].Port != 0) continue;
                    Assert.DoesNotContain(given[i].Port, taken);
                    Assert.Single(given, p => p.Port == given[i].Port);
                    Assert.InRange(given[i].Port, ServicePorts.First, ServicePorts.First + 40);
                }
                state = state.Apply(remove ? new ClusterChange.RemoveApp(asked.Id) : new ClusterChange.PutApp(ServicePorts.Assign(state, asked)!.App()));
            }
        }, iter: 300);
    }

    [Fact]
    public void An_app_keeps_the_ports_it_was_given()
    {
        var first = ServicePorts.Assign(ClusterState.Empty, Spec(1, [0, 0]))!;
        var state = ClusterState.Empty.And(first.App());
        Assert.Equal(first.Ports, ServicePorts.Assign(state, Spec(1, [0, 0]))!.Ports);
        Assert.Equal(ServicePorts.First + 2, ServicePorts.Assign(state, Spec(2, [0]))!.Ports[0].Port);
    }
}
