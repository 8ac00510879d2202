using System.Text.Json;

namespace Drover.Cli.Lab;

/// <summary>
/// The lab's wires: a bridge in a namespace of its own (the switch), one link to this machine, one to each machine of the lab.
/// This machine's own firewall never sees what the lab's machines say to each other.
/// </summary>
public sealed class LabNetwork(HostPrograms programs, LabLayout layout)
{
    /// <summary>Refuses a network that this machine already uses for something else.</summary>
    public async Task CheckFree(Subnet subnet, CancellationToken cancel)
    {
        var used = await programs.Require("ip", ["-j", "-4", "route", "show", "table", "all"], cancel);
        foreach (var route in JsonDocument.Parse(used).RootElement.EnumerateArray())
        {
            var device = route.TryGetProperty("dev", out var dev) ? dev.GetString()! : "";
            if (device == layout.HostLink || Subnet.TryParse(route.GetProperty("dst").GetString()!) is not { Prefix: > 0 } other || !subnet.Overlaps(other)) continue;
            var remedy = device.StartsWith("drv-", StringComparison.Ordinal)
                ? $"lab '{device[4..]}' has it: give this one another with --subnet, like 172.16.254.0/24"
                : "give the lab another with --subnet, like 172.16.254.0/24";
            throw new LabException($"the network {subnet} is taken on this machine ({other} by {device}): {remedy}");
        }
    }

    public async Task MakeSwitch(LabPlan plan, CancellationToken cancel)
    {
        await MakeNamespace(layout.SwitchNet, cancel);
        if (!await HasLink(layout.SwitchNet, LabLayout.Bridge, cancel))
            await Inside(layout.SwitchNet, ["link set lo up", $"link add {LabLayout.Bridge} type bridge forward_delay 0", $"link set {LabLayout.Bridge} up"], cancel);
        if (await HasLink(null, layout.HostLink, cancel) && await HasLink(layout.SwitchNet, LabLayout.HostPort, cancel)) return;
        await RemoveLink(layout.HostLink, cancel);
        await Here([
            $"link add {layout.HostLink} type veth peer name {LabLayout.HostPort} netns {layout.SwitchNet}",
            $"addr add {plan.HostAddress}/24 dev {layout.HostLink}", $"link set {layout.HostLink} up"], cancel);
        await Inside(layout.SwitchNet, [$"link set {LabLayout.HostPort} master {LabLayout.Bridge} up"], cancel);
    }

    /// <summary>Gives a machine its namespace, `eth0` with its address, and a way out by this machine.</summary>
    public async Task Connect(LabPlan plan, string machine, CancellationToken cancel)
    {
        var net = layout.NetFile(machine);
        await MakeNamespace(net, cancel);
        if (await HasLink(net, "eth0", cancel) && await HasDefaultRoute(net, cancel)) return;
        await programs.Run("nsenter", [$"--net={net}", "ip", "link", "delete", "eth0"], cancel);
        await Inside(layout.SwitchNet, [
            $"link add name {machine} type veth peer name eth0 netns {net}", $"link set dev {machine} master {LabLayout.Bridge} up"], cancel);
        await Inside(net, ["link set lo up", $"addr add {plan.AddressOf(machine)}/24 dev eth0", "link set eth0 up", $"route add default via {plan.HostAddress}"], cancel);
    }

    /// <summary>Cut off, the machine's packets are dropped without a word, as when a switch fails; its link stays up.</summary>
    public async Task SetPartitioned(string machine, bool cut, CancellationToken cancel) =>
        await programs.Require("nsenter", [$"--net={layout.SwitchNet}", "bridge", "link", "set", "dev", machine, "state", cut ? "0" : "3"], cancel);

    /// <summary>Machines whose port on the bridge is not forwarding.</summary>
    public async Task<IReadOnlySet<string>> Partitioned(CancellationToken cancel)
    {
        if (!MountTable.IsMounted(layout.SwitchNet)) return new HashSet<string>();
        var ports = await programs.Require("nsenter", [$"--net={layout.SwitchNet}", "bridge", "-j", "link", "show"], cancel);
        return JsonDocument.Parse(ports).RootElement.EnumerateArray()
            .Where(p => p.TryGetProperty("state", out var s) && s.GetString() == "disabled")
            .Select(p => p.GetProperty("ifname").GetString()!).ToHashSet();
    }

    /// <summary>Deletes this machine's link, and the links inside each namespace that is still known by name.</summary>
    /// <remarks>A namespace may outlive its name where some service holds a copy of the mount: its links must not.</remarks>
    public async Task Remove(CancellationToken cancel)
    {
        await RemoveLink(layout.HostLink, cancel);
        if (!MountTable.IsMounted(layout.SwitchNet)) return;
        var links = await programs.Run("nsenter", [$"--net={layout.SwitchNet}", "ip", "-j", "link", "show"], cancel);
        if (!links.Ok) return; // the namespace itself goes next
        foreach (var link in JsonDocument.Parse(links.Output).RootElement.EnumerateArray().Select(l => l.GetProperty("ifname").GetString()!).Where(l => l != "lo"))
            await programs.Run("nsenter", [$"--net={layout.SwitchNet}", "ip", "link", "delete", "dev", link], cancel);
    }

    private async Task RemoveLink(string link, CancellationToken cancel)
    {
        if (await HasLink(null, link, cancel)) await programs.Require("ip", ["link", "delete", "dev", link], cancel);
    }

    private async Task MakeNamespace(string file, CancellationToken cancel)
    {
        if (MountTable.IsMounted(file)) return;
        File.WriteAllBytes(file, []);
        await programs.Require("unshare", [$"--net={file}", "true"], cancel);
    }

    private async Task<bool> HasLink(string? net, string link, CancellationToken cancel) =>
        (net is null
            ? await programs.Run("ip", ["link", "show", "dev", link], cancel)
            : await programs.Run("nsenter", [$"--net={net}", "ip", "link", "show", "dev", link], cancel)).Ok;

    private async Task<bool> HasDefaultRoute(string net, CancellationToken cancel) =>
        (await programs.Require("nsenter", [$"--net={net}", "ip", "route", "show", "default"], cancel)).Length > 0;

    private Task<string> Here(IReadOnlyList<string> batch, CancellationToken cancel) => programs.Require("ip", ["-batch", "-"], cancel, string.Join('\n', batch) + "\n");

    private Task<string> Inside(string net, IReadOnlyList<string> batch, CancellationToken cancel) =>
        programs.Require("nsenter", [$"--net={net}", "ip", "-batch", "-"], cancel, string.Join('\n', batch) + "\n");
}
