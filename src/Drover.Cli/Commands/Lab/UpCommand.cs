using System.CommandLine;
using Drover.Cli.Lab;

namespace Drover.Cli.Commands.Lab;

internal static class UpCommand
{
    public static Command Build()
    {
        var name = LabCommands.Name();
        var nodes = new Option<int?>("--nodes") { Description = "How many nodes beside master (default 2)" };
        var attributes = new Option<string>("--attributes") { Description = "node2=disk:ssd,rack:b,node1=disk:spinning (default: odd nodes disk:spinning, even ones disk:ssd)" };
        var subnet = new Option<string>("--subnet") { Description = $"The lab's network (default {LabPlan.DefaultSubnet})" };
        var pool = new Option<string>("--pool-size") { Description = $"Size of each node's volume pool, like 8GiB; takes disk space only as it fills (default {LabPlan.DefaultPoolGiB}GiB)" };
        var drivers = new Option<string>("--volume-driver") { Description = "node2=zfs,node3=directory, or directory for all (default btrfs)" };
        var lease = new Option<int?>("--lease") { Description = $"Seconds that a node may write its volumes without hearing from the control plane, 5 to 3600 (default {LabPlan.DefaultLease})" };
        var command = new Command("up", "Make the lab, or start again what is missing of it") { name, nodes, attributes, subnet, pool, drivers, lease };
        command.Does(async (parsed, cancel) =>
        {
            var layout = LabCommands.Layout(parsed, name);
            var progress = LabCommands.Progress(parsed);
            var plan = Plan(layout, parsed.GetValue(nodes), parsed.GetValue(attributes), parsed.GetValue(subnet), parsed.GetValue(pool), parsed.GetValue(drivers), parsed.GetValue(lease));
            await new LabUp(new HostPrograms(), layout, progress).Run(plan, cancel);
            progress.Say($"lab '{plan.Name}' is up");
            var own = plan.Name == LabPlan.DefaultName ? "" : $" --name {plan.Name}";
            progress.Plain($"Try:  curl {plan.ControlUrl}/v2/apps    drover status    drover lab shell{own} node1    drover lab down{own}");
            return 0;
        });
        return command;
    }

    /// <summary>A lab that is there stays what it is: other wishes are refused, none are taken as its own.</summary>
    private static LabPlan Plan(LabLayout layout, int? nodes, string? attributes, string? subnet, string? pool, string? drivers, int? lease)
    {
        var there = LabRecord.Find(layout)?.Plan;
        var wished = LabPlan.Make(layout.Name, subnet ?? there?.Subnet ?? LabPlan.DefaultSubnet, (pool is null ? (int?)null : LabPlan.ParsePool(pool)) ?? there?.PoolGiB ?? LabPlan.DefaultPoolGiB,
            nodes ?? there?.Nodes.Count ?? 2, attributes ?? "").WithDrivers(drivers ?? "") with { LeaseSeconds = lease ?? there?.LeaseSeconds ?? LabPlan.DefaultLease };
        if (wished.LeaseSeconds is < 5 or > 3600) throw new LabException($"--lease {wished.LeaseSeconds}: give 5 to 3600 seconds");
        if (there is null) return wished;
        var same = wished.Subnet == there.Subnet && wished.PoolGiB == there.PoolGiB && wished.LeaseSeconds == there.LeaseSeconds && wished.Nodes.Count == there.Nodes.Count
            && (attributes is null || wished.Nodes.Zip(there.Nodes).All(p => p.First.Attributes.OrderBy(a => a.Key).SequenceEqual(p.Second.Attributes.OrderBy(a => a.Key))));
        same &= drivers is null || wished.Nodes.Select(n => n.VolumeDriver).SequenceEqual(there.Nodes.Select(n => n.VolumeDriver));
        return same ? there : throw new LabException($"lab '{layout.Name}' is there already with {there.Nodes.Count} nodes on {there.Subnet} and other settings than these: "
            + "`drover lab down` first, or give the new one a --name and a --subnet of its own");
    }
}
