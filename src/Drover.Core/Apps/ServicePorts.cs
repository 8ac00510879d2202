using System.Collections.Immutable;
using System.Globalization;
using Drover.Core.State;

namespace Drover.Core.Apps;

/// <summary>Cluster-wide service ports: those asked for as 0 get a free one, the previous version's first.</summary>
public static class ServicePorts
{
    public const int First = 10000;
    public const int Last = 20000;

    /// <summary>Null: no free port left between <see cref="First"/> and <see cref="Last"/>.</summary>
    public static AppSpec? Assign(ClusterState state, AppSpec spec)
    {
        var own = state.Apps.TryGetValue(spec.Id, out var before) ? Of(before.Spec).Where(p => p != 0).ToList() : [];
        var taken = Of(spec).Where(p => p != 0).ToHashSet();
        var reusable = new Queue<int>(own.Where(p => !taken.Contains(p) && !state.PortHolders.TakenByOther(p, spec.Id)).Distinct());
        var next = state.PortHolders.FirstFree;
        var exhausted = false;
        var assigned = spec.Container is { Network: ContainerNetwork.Bridge } bridge
            ? spec with { Container = bridge with { PortMappings = bridge.PortMappings.Items.Select(m => m.ServicePort == 0 ? m with { ServicePort = Next() } : m).ToEquatableList() } }
            // A required port is the host's too: 0 there asks for any of the node's, which a service port is not.
            : spec.RequirePorts ? spec : spec with { Ports = spec.Ports.Items.Select(p => p.Port == 0 ? p with { Port = Next() } : p).ToEquatableList() };
        return exhausted ? null : assigned;

        int Next()
        {
            while (reusable.TryDequeue(out var kept)) if (taken.Add(kept)) return kept;
            for (; next <= Last; next++) if (!state.PortHolders.TakenByOther(next, spec.Id) && taken.Add(next)) return next;
            exhausted = true;
            return 0;
        }
    }

    /// <summary>Service ports this app asks for that another app has.</summary>
    public static IEnumerable<FieldError> Conflicts(ClusterState state, AppSpec spec)
    {
        var asked = Of(spec).ToList();
        var bridge = spec.Container is { Network: ContainerNetwork.Bridge };
        for (var i = 0; i < asked.Count; i++)
        {
            if (asked[i] == 0) continue;
            if (state.PortHolders.Other(asked[i], spec.Id) is not { } holder) continue;
            var index = i.ToString(CultureInfo.InvariantCulture);
            yield return new FieldError(bridge ? $"/container/portMappings({index})/servicePort" : $"/portDefinitions({index})/port",
                $"service port {asked[i]} is taken by app '{holder}': choose another, or 0 for any");
        }
    }

    internal static IEnumerable<int> Of(AppSpec spec) => spec.Container is { Network: ContainerNetwork.Bridge } bridge
        ? bridge.PortMappings.Items.Select(m => m.ServicePort)
        : spec.RequirePorts ? [] : spec.Ports.Items.Select(p => p.Port);
}

/// <summary>Which apps have which service port, and below which all of the range are taken.</summary>
internal sealed record PortHolders(ImmutableDictionary<int, ImmutableHashSet<AppId>> ByPort, int FirstFree)
{
    public static readonly PortHolders Empty = new(ImmutableDictionary<int, ImmutableHashSet<AppId>>.Empty, ServicePorts.First);

    public bool TakenByOther(int port, AppId app) => Other(port, app) is not null;

    public AppId? Other(int port, AppId app)
    {
        if (!ByPort.TryGetValue(port, out var holders)) return null;
        foreach (var holder in holders) if (holder != app) return holder;
        return null;
    }

    public PortHolders With(AppSpec? before, AppSpec? after)
    {
        if (before is not null && after is not null && ServicePorts.Of(before).SequenceEqual(ServicePorts.Of(after))) return this;
        var ports = ByPort;
        var free = FirstFree;
        foreach (var port in before is null ? [] : ServicePorts.Of(before).Where(p => p != 0))
        {
            if (!ports.TryGetValue(port, out var holders)) continue;
            holders = holders.Remove(before!.Id);
            ports = holders.IsEmpty ? ports.Remove(port) : ports.SetItem(port, holders);
            if (holders.IsEmpty && port >= ServicePorts.First) free = Math.Min(free, port);
        }
        foreach (var port in after is null ? [] : ServicePorts.Of(after).Where(p => p != 0)) ports = ports.SetItem(port, (ports.TryGetValue(port, out var holders) ? holders : []).Add(after!.Id));
        while (ports.ContainsKey(free)) free++;
        return new(ports, free);
    }
}
