using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Networks;

namespace Drover.ControlPlane.Marathon;

/// <summary>`container`, `networks`, `portDefinitions` and their 2015 forms (`docker.network`, `docker.portMappings`, `ports`), normalised to one canonical form.</summary>
public static class ContainerJson
{
    public static AppSpec Read(JsonFields fields, AppSpec basis)
    {
        var container = fields.Object("container");
        var docker = container?.Object("docker");
        var asked = NetworkJson.Read(fields, docker);
        var network = asked?.Mode ?? basis.Container?.Network;
        var named = asked is null ? basis.Container?.NetworkName : asked.Name;
        var old2015 = docker is { } d && (d.Has("network") || d.Has("portMappings"));
        var spec = container is { } given ? basis with { Container = Container(given, docker, basis) } : basis;
        if (spec is { Container: null, Command: not null } && MarathonSettings.CommandImage is { } image) spec = spec with { Container = new ContainerSpec { Image = image, ImageImplied = true } };
        if (spec.Container is not { } read) return spec;

        var mappings = (container is null ? null : Mappings(container.Value, docker)) ?? asked?.Discovery;
        var mode = network ?? (mappings is { Count: > 0 } ? ContainerNetwork.Bridge : ContainerNetwork.Host);
        if (mode != ContainerNetwork.Bridge && mappings is { Count: > 0 } && network is not null)
            fields.Violations.Rule("/container/portMappings", "must be empty in host mode; give portDefinitions, or networks [{\"mode\": \"container/bridge\"}]");
        if (mode == ContainerNetwork.Bridge)
        {
            // From 1.5 on, no port mappings means one port of the node's range; 2015's form meant none. In a container network nothing is published by itself.
            var kept = container is null ? basis.Container!.PortMappings : old2015 || named is not null ? [] : (EquatableList<PortMapping>)[new PortMapping(0, 0, 0, "tcp", "default", [])];
            var all = WithServicePorts(mappings ?? kept, PortJson.ServicePorts(fields));
            if (named is null) all = all.Select(m => m with { HostPort = m.HostPort ?? 0 }).ToEquatableList();
            spec = spec with { Container = read with { Network = mode, NetworkName = named, PortMappings = all }, Ports = [], RequirePorts = false };
        }
        else
        {
            spec = spec with { Container = read with { Network = mode, NetworkName = null, PortMappings = [] }, Ports = PortJson.Definitions(fields) ?? (basis.Ports.Count > 0 || mode == ContainerNetwork.None ? basis.Ports : [new PortDefinition(0, "tcp", "default", [])]) };
        }
        return WithOverlay(fields, spec);
    }

    private static ContainerSpec Container(JsonFields container, JsonFields? docker, AppSpec spec)
    {
        if (container.String("type") is { } type and not ("DOCKER" or "MESOS"))
            container.Violations.Rule(container.At("type"), $"must be DOCKER; it was '{type}'");
        var implied = docker is null && spec.Command is not null ? MarathonSettings.CommandImage : null;
        var image = docker?.String("image") ?? implied;
        if (string.IsNullOrWhiteSpace(image) || image.Any(char.IsWhiteSpace)) container.Violations.Rule(container.At("docker/image"), "must name the image to run, such as \"postgres:15\"");
        if (docker is { } given && !given.IsEmpty("credential")) given.Violations.Rule(given.At("credential"), "must not be given; log in on the nodes with docker login");
        if (docker is { } pulled && !pulled.IsEmpty("pullConfig")) pulled.Violations.Rule(pulled.At("pullConfig"), "must not be given; log in on the nodes with docker login");
        var volumes = VolumeJson.Read(container, spec.Id);
        var (parameters, named) = docker is { } options ? VolumeJson.FromParameters(options) : ([], []);
        return new()
        {
            Image = image ?? "",
            ImageImplied = implied is not null,
            Volumes = volumes.Concat(named).ToEquatableList(),
            Parameters = parameters.ToEquatableList(),
            ForcePull = docker?.Boolean("forcePullImage") ?? false,
            Privileged = docker?.Boolean("privileged") ?? false,
        };
    }

    private static EquatableList<PortMapping>? Mappings(JsonFields container, JsonFields? docker)
    {
        var canonical = PortJson.Mappings(container);
        var old = docker is { } given ? PortJson.Mappings(given) : null;
        // Both and the same is what this server writes for clients of 2015.
        if (canonical is { Count: > 0 } && old is { Count: > 0 } && canonical != old)
            container.Violations.Rule(container.At("portMappings"), "must not be given together with docker.portMappings; keep one of them");
        return canonical ?? old;
    }

    /// <summary>2015's `ports` beside bridge mode are service ports, by position; those beyond the mappings become mappings of their own.</summary>
    private static EquatableList<PortMapping> WithServicePorts(EquatableList<PortMapping> mappings, EquatableList<int>? ports)
    {
        if (ports is not { } service) return mappings;
        var named = mappings.Select((mapping, i) => mapping.ServicePort == 0 && i < service.Count ? mapping with { ServicePort = service[i] } : mapping);
        var more = service.Skip(mappings.Count).Where(port => port != 0).Select(port => new PortMapping(0, 0, port, "tcp", null, []));
        return named.Concat(more).ToEquatableList();
    }

    private static AppSpec WithOverlay(JsonFields fields, AppSpec spec)
    {
        var asked = spec.Env.FirstOrDefault(e => e.Name == Addressing.Variable)?.Value;
        var at = $"/env/{Addressing.Variable}";
        if (asked is null)
        {
            if (spec.Container!.NetworkName is { } named && named == Addressing.Weave.Value) fields.Violations.Rule(at, $"must be given for the container network '{named}': the address there, such as 10.255.0.10/24");
            return spec with { Container = spec.Container! with { Overlay = null } };
        }
        if (spec.Container!.Network == ContainerNetwork.Host) fields.Violations.Rule(at, "needs a network of the container's own; use container/bridge mode instead of host");
        if (!Addressing.TryParse(asked, out var overlay, out var problem)) fields.Violations.Rule(at, problem!);
        return spec with { Container = spec.Container with { Overlay = overlay } };
    }
}
