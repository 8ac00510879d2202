using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Drover.Agent.Host;
using Drover.Contracts.Agent;
using Drover.Core;
using Microsoft.Extensions.Logging;

namespace Drover.Agent.Networks.Vxlan;

/// <summary>Overlays by the kernel's VXLAN (RFC 7348): per network a bridge and a tunnel, forwarding entries from the control plane.</summary>
/// <remarks>What the kernel has is read back when the agent starts, when a device was replaced, after a failure, and every
/// <see cref="ReadBackAfter"/>; in between a change costs only the difference: at most one `ip` and one `bridge`.</remarks>
public sealed class VxlanOverlay(IHostCommands commands, ILinks links, LeaseBook leases, AgentOptions options, TimeProvider time, ILogger<VxlanOverlay> log) : IOverlay, IDisposable
{
    private static readonly TimeSpan ReadBackAfter = TimeSpan.FromSeconds(30);
    private readonly SemaphoreSlim _one = new(1, 1);
    private readonly Dictionary<NetworkName, Held> _held = [];

    /// <summary>What we know of a network; the indices tell whether its devices are still the same.</summary>
    private sealed record Held(OverlayWanted Wanted, OverlayPresent Present, int BridgeIndex, int TunnelIndex, long ReadAt)
    {
        public ImmutableDictionary<string, string> Endpoints { get; init; } = ImmutableDictionary<string, string>.Empty;
    }

    public async Task Apply(DesiredNetwork network, CancellationToken cancel)
    {
        OverlayRules.Check(network);
        leases.Note(network);
        var name = new NetworkName(network.Name);
        await Alone(async () =>
        {
            var known = Fresh(name);
            if (known is null || known.Wanted.Vni != network.Vni) await ReadBack(name, network, cancel);
            else await Converge(name, known, OverlayRules.Wanted(network, options, known.Wanted.Mtu), cancel);
            return true;
        }, cancel);
    }

    public Task Remove(NetworkName network, CancellationToken cancel)
    {
        leases.Forget(network);
        return Alone(async () =>
        {
            if (await VniOf(network, cancel) is not { } vni) return true;
            _held.Remove(network);
            string[] lines = [.. new[] { OverlayNames.Tunnel(vni), OverlayNames.Bridge(vni) }.Where(link => links.IndexOf(link) != 0).Select(link => $"link del dev {link}")];
            await Batch("ip", lines, cancel);
            await Firewall(vni, wanted: false, cancel);
            log.LogInformation("Network {Network}: removed its devices", network);
            return true;
        }, cancel);
    }

    public Task<string> Attach(NetworkName network, string endpointId, string address, string mac, CancellationToken cancel) => Alone(async () =>
    {
        OverlayRules.CheckEndpoint(address, mac);
        var vni = await VniOf(network, cancel) ?? throw new InvalidOperationException(
            $"network {network} is not set up on this node: the control plane has not sent it; see that the agent is connected, then start the container again");
        var (host, inside) = (OverlayNames.HostEnd(endpointId), OverlayNames.ContainerEnd(endpointId));
        var known = _held.GetValueOrDefault(network);
        if (links.IndexOf(host) != 0 && links.IndexOf(inside) != 0) await Batch("bridge", OverlayPlanner.PlanHere(endpointId, mac), cancel);
        else
        {
            var plan = OverlayPlanner.PlanAttach(vni, known?.Wanted.Mtu ?? await MtuFor(vni, cancel), endpointId, mac);
            // One end without the other belongs to a sandbox that is gone; a pair is made anew under the same name.
            var leftover = links.IndexOf(host) != 0 ? ImmutableArray.Create($"link del dev {host}") : [];
            await Batch("ip", [.. leftover, .. plan.Links], cancel);
            await Batch("bridge", plan.Forwarding, cancel);
        }
        if (known is not null)
            _held[network] = known with
            {
                Present = known.Present with { Here = known.Present.Here.Add(mac), BehindTunnel = known.Present.BehindTunnel.Remove(mac) },
                Endpoints = known.Endpoints.SetItem(endpointId, mac),
            };
        return inside;
    }, cancel);

    public Task Detach(NetworkName network, string endpointId, CancellationToken cancel) => Alone(async () =>
    {
        var host = OverlayNames.HostEnd(endpointId);
        if (links.IndexOf(host) != 0) await Batch("ip", [$"link del dev {host}"], cancel);
        if (_held.GetValueOrDefault(network) is not { } known) return true;
        if (!known.Endpoints.TryGetValue(endpointId, out var mac))
        {
            // It was attached by an earlier run of this agent: what the bridge has now must be read.
            _held.Remove(network);
            return true;
        }
        known = known with { Present = known.Present with { Here = known.Present.Here.Remove(mac) }, Endpoints = known.Endpoints.Remove(endpointId) };
        // It may answer on another node already: from here on frames for it go there.
        await Converge(network, known, known.Wanted, cancel);
        return true;
    }, cancel);

    public async Task Announce(NetworkName network, string address, string mac, CancellationToken cancel)
    {
        var frame = Announcement.Frame(address, mac);
        var vni = await Alone(() => VniOf(network, cancel), cancel) ?? throw new InvalidOperationException($"network {network} is not set up on this node");
        // Into the tunnel itself as well: the bridge keeps announcements away from a port whose neighbours it answers for.
        links.Send(OverlayNames.Tunnel(vni), frame);
        links.Send(OverlayNames.Bridge(vni), frame);
    }

    public async Task<IReadOnlyList<NetworkName>> List(CancellationToken cancel)
    {
        using var all = await Links(cancel);
        return [.. OverlayReading.Networks(all.RootElement).Keys];
    }

    public void Dispose() => _one.Dispose();

    private async Task ReadBack(NetworkName name, DesiredNetwork network, CancellationToken cancel)
    {
        using var all = await Links(cancel);
        var underlay = OverlayReading.MtuOfAddress(all.RootElement, options.Address) ?? throw new InvalidOperationException(
            $"no interface of this node carries the address {options.Address}: give the agent the address that other nodes reach (--address)");
        var wanted = OverlayRules.Wanted(network, options, underlay - OverlayPlanner.HeaderBytes);
        var present = OverlayReading.Devices(all.RootElement, network.Vni);
        if (OverlayNames.NetworkOf(present.Bridge?.Alias) is { } other && other != network.Name)
            throw new InvalidOperationException($"network identifier {network.Vni} is asked for {name}, but {OverlayNames.Bridge(network.Vni)} serves {other}: remove that network first");
        if (present.Bridge is not null || present.Tunnel is not null)
        {
            var forwarding = Json(new("bridge", ["-j", "fdb", "show"]), cancel);
            var neighbours = Json(new("ip", ["-4", "-j", "neigh", "show", "nud", "permanent"]), cancel);
            using var table = await forwarding;
            using var known = await neighbours;
            present = OverlayReading.Tables(present, network.Vni, table.RootElement, known.RootElement);
        }
        var endpoints = _held.TryGetValue(name, out var old) ? old.Endpoints : ImmutableDictionary<string, string>.Empty;
        await Converge(name, new Held(wanted, present, 0, 0, time.GetTimestamp()) { Endpoints = endpoints }, wanted, cancel);
        await Firewall(network.Vni, wanted: true, cancel);
    }

    private async Task Converge(NetworkName name, Held known, OverlayWanted wanted, CancellationToken cancel)
    {
        var plan = OverlayPlanner.Plan(wanted, known.Present);
        // Forgotten until all of it is done: after a failure the next call reads what is really there.
        _held.Remove(name);
        await Batch("ip", plan.Links, cancel);
        await Batch("bridge", plan.Forwarding, cancel);
        _held[name] = known with
        {
            Wanted = wanted, Present = OverlayPlanner.After(wanted, known.Present.Here),
            BridgeIndex = links.IndexOf(OverlayNames.Bridge(wanted.Vni)), TunnelIndex = links.IndexOf(OverlayNames.Tunnel(wanted.Vni)),
        };
        if (!plan.IsEmpty)
            log.LogInformation("Network {Network} (identifier {Vni}): {Links} link and {Forwarding} forwarding changes", name, wanted.Vni, plan.Links.Length, plan.Forwarding.Length);
    }

    private Held? Fresh(NetworkName name)
    {
        if (!_held.TryGetValue(name, out var known)) return null;
        var same = links.IndexOf(OverlayNames.Bridge(known.Wanted.Vni)) == known.BridgeIndex && links.IndexOf(OverlayNames.Tunnel(known.Wanted.Vni)) == known.TunnelIndex;
        return same && time.GetElapsedTime(known.ReadAt) < ReadBackAfter ? known : null;
    }

    private async Task<int?> VniOf(NetworkName network, CancellationToken cancel)
    {
        if (_held.TryGetValue(network, out var known)) return known.Wanted.Vni;
        using var all = await Links(cancel);
        return OverlayReading.Networks(all.RootElement).TryGetValue(network, out var vni) ? vni : null;
    }

    private async Task<int> MtuFor(int vni, CancellationToken cancel)
    {
        using var all = await Links(cancel);
        return OverlayReading.Devices(all.RootElement, vni).Bridge?.Mtu ?? throw new InvalidOperationException($"{OverlayNames.Bridge(vni)} is gone: the network is being removed");
    }

    /// <summary>Docker drops what it did not allow itself when bridged frames pass the packet filter (`bridge-nf-call-iptables`): frames inside one overlay are let through.</summary>
    private async Task Firewall(int vni, bool wanted, CancellationToken cancel)
    {
        var bridge = OverlayNames.Bridge(vni);
        HostCommand Rule(string verb) => new("iptables", ["-w", "5", verb, "FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT"]);
        var there = (await commands.Run(Rule("-C"), cancel)).Ok;
        if (there == wanted) return;
        var change = Rule(wanted ? "-I" : "-D");
        (await commands.Run(change, cancel)).Require(change);
    }

    private Task<JsonDocument> Links(CancellationToken cancel) => Json(new("ip", ["-d", "-j", "addr", "show"]), cancel);

    private async Task<JsonDocument> Json(HostCommand command, CancellationToken cancel)
    {
        var text = (await commands.Run(command, cancel)).Require(command);
        return JsonDocument.Parse(text.Length == 0 ? "[]" : text);
    }

    private async Task Batch(string program, IReadOnlyCollection<string> lines, CancellationToken cancel)
    {
        if (lines.Count == 0) return;
        var command = new HostCommand(program, ["-batch", "-"], string.Join('\n', lines) + "\n");
        var result = await commands.Run(command, cancel);
        if (!result.Ok) throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"`{command}` failed: {result.Error.Trim()}; the lines were: {string.Join(" | ", lines)}"));
    }

    private async Task<T> Alone<T>(Func<Task<T>> act, CancellationToken cancel)
    {
        await _one.WaitAsync(cancel);
        try { return await act(); }
        finally { _one.Release(); }
    }
}
