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
        var taken = state.Apps.Values.Where(a => a.Id != spec.Id).SelectMany(a => Of(a.Spec)).Concat(Of(spec)).Where(p => p != 0).ToHashSet();
        var reusable = new Queue<int>(own.Where(p => !taken.Contains(p)).Distinct());
        var exhausted = false;
        var assigned = spec.Container is { Network: ContainerNetwork.Bridge } bridge
            ? spec with { Container = bridge with { PortMappings = bridge.PortMappings.Items.Select(m => m.ServicePort == 0 ? m with { ServicePort = Next() } : m).ToEquatableList() } }
            // A required port is the host's too: 0 there asks for any of the node's, which a service port is not.
            : spec.RequirePorts ? spec : spec with { Ports = spec.Ports.Items.Select(p => p.Port == 0 ? p with { Port = Next() } : p).ToEquatableList() };
        return exhausted ? null : assigned;

        int Next()
        {
            while (reusable.TryDequeue(out var kept)) if (taken.Add(kept)) return kept;
            for (var port = First; port <= Last; port++) if (taken.Add(port)) return port;
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
            var holder = state.Apps.Values.FirstOrDefault(a => a.Id != spec.Id && Of(a.Spec).Contains(asked[i]));
            if (holder is null) continue;
            var index = i.ToString(CultureInfo.InvariantCulture);
            yield return new FieldError(bridge ? $"/container/portMappings({index})/servicePort" : $"/portDefinitions({index})/port",
                $"service port {asked[i]} is taken by app '{holder.Id}': choose another, or 0 for any");
        }
    }

    private static IEnumerable<int> Of(AppSpec spec) => spec.Container is { Network: ContainerNetwork.Bridge } bridge
        ? bridge.PortMappings.Items.Select(m => m.ServicePort)
        : spec.RequirePorts ? [] : spec.Ports.Items.Select(p => p.Port);
}
