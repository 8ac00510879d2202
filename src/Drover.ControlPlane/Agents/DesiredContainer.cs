using System.Globalization;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.State;
using HealthCheck = Drover.Core.Apps.HealthCheck;
using HealthProtocol = Drover.Core.Apps.HealthProtocol;
using Instance = Drover.Core.Apps.Instance;
using Wire = Drover.Contracts.Agent;

namespace Drover.ControlPlane.Agents;

/// <summary>One instance in the agent's words.</summary>
public static class DesiredContainer
{
    /// <summary>From the stop signal to the kill, where the app does not say. Docker's own default: a database needs time to close its files.</summary>
    public static readonly TimeSpan DefaultGrace = TimeSpan.FromSeconds(10);

    public static DesiredInstance Of(ClusterState state, NodeId node, Instance instance, int incarnation, InstanceWish wish)
    {
        var spec = instance.Spec;
        var desired = new DesiredInstance
        {
            InstanceId = instance.Id.Value,
            TaskId = instance.Id.Task(incarnation).Value,
            AppId = instance.App.Value,
            Incarnation = incarnation,
            Wish = wish,
            StopGraceMs = Ms(spec.KillGrace ?? DefaultGrace),
            Container = Container(state, node, instance, incarnation),
        };
        desired.Volumes.AddRange(spec.Volumes.Select(mount => new InstanceVolume
        {
            Name = mount.Name.Value,
            Epoch = EpochOn(state, node, mount.Name).Value,
            ContainerPath = mount.ContainerPath,
            ReadOnly = mount.ReadOnly,
        }));
        desired.HealthChecks.AddRange(spec.HealthChecks.Select(check => Check(spec, instance.Ports, check)));
        desired.ReadinessChecks.AddRange(spec.ReadinessChecks.Select(check => Check(spec, instance.Ports, check)));
        return desired;
    }

    /// <summary>The epoch under which it will write here: the volume's own where it is primary, the one after it where a move brings it.</summary>
    private static Epoch EpochOn(ClusterState state, NodeId node, VolumeName name) =>
        !state.Volumes.TryGetValue(name, out var volume) ? Epoch.None : volume.Primary == node ? volume.Epoch : volume.Epoch.Next;

    private static Wire.ContainerSpec Container(ClusterState state, NodeId node, Instance instance, int incarnation)
    {
        var spec = instance.Spec;
        var container = new Wire.ContainerSpec
        {
            Command = spec.Command ?? "",
            Cpus = spec.Cpus,
            MemoryMib = spec.MemoryMiB,
            User = spec.User ?? "",
            CpuLimit = spec.Limits?.Cpus ?? 0,
            MemoryLimitMib = spec.Limits?.MemoryMiB ?? 0,
            Network = "bridge",
        };
        container.Args.AddRange(spec.Args);
        foreach (var (name, value) in TaskEnvironment.Of(instance, incarnation, state.Nodes.TryGetValue(node, out var host) ? host.Hostname : node.Value)) container.Env[name] = value;
        foreach (var label in spec.Labels) container.Labels[label.Name] = label.Value;
        if (spec.Tty) container.Parameters.Add(new Wire.DockerParameter { Key = "tty", Value = "true" });
        if (spec.Container is not { } image) return container;
        container.Image = image.Image;
        // Commands without an image of their own begin in the sandbox, where their volume is.
        if (image.ImageImplied && spec.Volumes.Any(v => v.Persistent is { Linked: false })) container.Parameters.Add(new Wire.DockerParameter { Key = "workdir", Value = Marathon.PersistentJson.Sandbox });
        container.ForcePull = image.ForcePull;
        container.Privileged = image.Privileged;
        container.Network = image.Network switch { ContainerNetwork.Host => "host", ContainerNetwork.None => "none", _ => "bridge" };
        container.Parameters.AddRange(image.Parameters.Select(p => new Wire.DockerParameter { Key = p.Key, Value = p.Value }));
        container.HostMounts.AddRange(image.Volumes.OfType<Core.Apps.HostMount>().Select(m => new Wire.HostMount { HostPath = m.HostPath, ContainerPath = m.ContainerPath, ReadOnly = m.ReadOnly }));
        container.Ports.AddRange(Published(image, instance.Ports));
        if (image.Overlay is { } overlay) container.Overlay = Endpoint(state, instance.App, overlay);
        return container;
    }

    private static IEnumerable<PublishedPort> Published(Core.Apps.ContainerSpec container, EquatableList<int> ports)
    {
        if (container.Network != ContainerNetwork.Bridge) yield break;
        for (var i = 0; i < container.PortMappings.Count && i < ports.Count; i++)
        {
            if (ports[i] == 0) continue;
            var mapping = container.PortMappings[i];
            foreach (var protocol in mapping.Protocol.Split(','))
                yield return new PublishedPort { ContainerPort = mapping.ContainerPort == 0 ? ports[i] : mapping.ContainerPort, HostPort = ports[i], Protocol = protocol };
        }
    }

    private static OverlayEndpoint Endpoint(ClusterState state, AppId app, OverlayAttachment overlay)
    {
        var slash = overlay.Cidr.IndexOf('/', StringComparison.Ordinal);
        var address = overlay.Cidr[..slash];
        var lease = state.Networks.TryGetValue(overlay.Network, out var network) ? network.Addresses.FirstOrDefault(a => a.App == app && a.Address == address) : null;
        return new OverlayEndpoint
        {
            Network = overlay.Network.Value,
            Address = address,
            PrefixLength = int.Parse(overlay.Cidr.AsSpan(slash + 1), CultureInfo.InvariantCulture),
            Mac = lease?.Mac ?? "",
        };
    }

    private static Wire.HealthCheck Check(AppSpec spec, EquatableList<int> ports, HealthCheck check)
    {
        var (port, inContainer) = PortOf(spec, ports, check.Protocol, check.Port, check.PortIndex);
        return new Wire.HealthCheck
        {
            Protocol = check.Protocol switch
            {
                HealthProtocol.Http or HealthProtocol.MesosHttp => Wire.HealthProtocol.Http,
                HealthProtocol.Https or HealthProtocol.MesosHttps => Wire.HealthProtocol.Https,
                HealthProtocol.Tcp or HealthProtocol.MesosTcp => Wire.HealthProtocol.Tcp,
                _ => Wire.HealthProtocol.Command,
            },
            Path = check.Path ?? "",
            Port = port,
            ContainerPort = inContainer,
            Command = check.Command ?? "",
            GraceMs = Ms(check.Grace),
            IntervalMs = Ms(check.Interval),
            TimeoutMs = Ms(check.Timeout),
            // Mesos' own checks stop a task at the first failure where no number is given.
            MaxConsecutiveFailures = check is { IsMesos: true, MaxConsecutiveFailures: 0 } ? 1 : check.MaxConsecutiveFailures,
            // Marathon's own know no delay: it is there for Mesos' alone.
            DelayMs = check.IsMesos || check.Protocol == HealthProtocol.Command ? Ms(check.Delay) : 0,
            IgnoreHttp1Xx = check.IgnoreHttp1xx,
            Ipv6 = check.IpProtocol == IpProtocol.IPv6,
        };
    }

    private static Wire.ReadinessCheck Check(AppSpec spec, EquatableList<int> ports, Core.Apps.ReadinessCheck check)
    {
        var (port, inContainer) = PortOf(spec, ports, check.Protocol, null, IndexOf(spec, check.PortName));
        var wire = new Wire.ReadinessCheck
        {
            Name = check.Name, Https = check.Protocol == HealthProtocol.Https, Path = check.Path, Port = port, ContainerPort = inContainer,
            IntervalMs = Ms(check.Interval), TimeoutMs = Ms(check.Timeout), KeepAnswer = check.KeepsAnswer,
        };
        wire.ReadyCodes.AddRange(check.ReadyStatusCodes);
        return wire;
    }

    private static int IndexOf(AppSpec spec, string portName)
    {
        var names = spec.Container?.Network == ContainerNetwork.Bridge ? spec.Container.PortMappings.Select(p => p.Name) : spec.Ports.Select(p => p.Name);
        return Math.Max(0, names.ToList().IndexOf(portName));
    }

    /// <summary>Marathon's own checks go to the node's port; Mesos' run inside the container's network. A port that is not published can only be reached inside.</summary>
    private static (int Port, bool InContainer) PortOf(AppSpec spec, EquatableList<int> ports, HealthProtocol protocol, int? given, int? givenIndex)
    {
        if (protocol == HealthProtocol.Command) return (0, false);
        var mesos = protocol is HealthProtocol.MesosHttp or HealthProtocol.MesosHttps or HealthProtocol.MesosTcp;
        var network = spec.Container?.Network ?? ContainerNetwork.Host;
        var inside = network == ContainerNetwork.None || (mesos && network == ContainerNetwork.Bridge);
        if (given is { } port) return (port, inside);
        var index = givenIndex ?? 0;
        var published = index < ports.Count ? ports[index] : 0;
        if (network == ContainerNetwork.Host) return (published, false);
        var mappings = spec.Container!.PortMappings;
        var own = index < mappings.Count ? mappings[index].ContainerPort : 0;
        if (own == 0) own = published;
        return inside || published == 0 ? (own, true) : (published, false);
    }

    private static int Ms(TimeSpan span) => (int)Math.Clamp(span.TotalMilliseconds, 0, int.MaxValue);
}
