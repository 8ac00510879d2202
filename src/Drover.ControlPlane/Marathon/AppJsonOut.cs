using System.Globalization;
using System.Text.Json;
using Drover.Core;
using Drover.Core.Apps;

namespace Drover.ControlPlane.Marathon;

/// <summary>Writes app definitions in the canonical form of 1.5 to 1.10: no field of the 2015 dialect, lists that are empty left out where Marathon leaves them out.</summary>
public static class AppJsonOut
{
    /// <summary>Always with milliseconds, always UTC: `2015-09-25T15:13:48.343Z`.</summary>
    public static string Timestamp(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    /// <summary>The fields of an app, into an object already begun.</summary>
    /// <param name="known">The app as stored, for its version; null for a spec alone.</param>
    public static void Fields(Utf8JsonWriter json, AppSpec spec, App? known)
    {
        json.WriteString("id", spec.Id.Value);
        Strings(json, "acceptedResourceRoles", spec.AcceptedRoles);
        Strings(json, "args", spec.Args);
        json.WriteNumber("backoffFactor", spec.Backoff.Factor);
        json.WriteNumber("backoffSeconds", spec.Backoff.Initial.TotalSeconds);
        if (spec.Command is { } command) json.WriteString("cmd", command);
        if (spec.Constraints.Count > 0) Constraints(json, spec.Constraints);
        if (HasContainer(spec)) Container(json, spec.Container!);
        json.WriteNumber("cpus", spec.Cpus);
        Strings(json, "dependencies", spec.Dependencies.Select(d => d.Value).ToEquatableList());
        json.WriteNumber("disk", spec.DiskMiB);
        if (spec.Env.Count > 0) Map(json, "env", spec.Env.Select(e => (e.Name, e.Value)));
        json.WriteString("executor", spec.Executor);
        json.WriteNumber("gpus", spec.Gpus);
        if (spec.HealthChecks.Count > 0) HealthChecks(json, spec.HealthChecks);
        json.WriteNumber("instances", spec.Instances);
        json.WriteString("killSelection", spec.KillSelection == KillSelection.OldestFirst ? "OLDEST_FIRST" : "YOUNGEST_FIRST");
        Map(json, "labels", spec.Labels.Select(l => (l.Name, l.Value)));
        json.WriteNumber("maxLaunchDelaySeconds", spec.Backoff.Max.TotalSeconds);
        json.WriteNumber("mem", spec.MemoryMiB);
        Networks(json, spec.Container);
        if (spec.Container?.Network != ContainerNetwork.Bridge) PortDefinitions(json, spec.Ports);
        ReadinessJson.Write(json, spec.ReadinessChecks);
        json.WriteBoolean("requirePorts", spec.RequirePorts);
        if (spec.Residency is { } residency) Residence(json, residency);
        if (spec.Limits is { } limits) Limits(json, limits);
        json.WriteString("role", spec.Role);
        if (spec.KillGrace is { } grace) json.WriteNumber("taskKillGracePeriodSeconds", grace.TotalSeconds);
        if (spec.Tty) json.WriteBoolean("tty", true);
        Unreachable(json, spec.Unreachable);
        json.WriteStartObject("upgradeStrategy");
        json.WriteNumber("maximumOverCapacity", spec.Upgrade.MaximumOverCapacity);
        json.WriteNumber("minimumHealthCapacity", spec.Upgrade.MinimumHealthCapacity);
        json.WriteEndObject();
        if (spec.User is { } user) json.WriteString("user", user);
        NeighbourJson.Write(json, spec);
        Dialect2015.Fields(json, spec);
        if (known is not null) Version(json, known);
    }

    private static void Residence(Utf8JsonWriter json, Residency residency)
    {
        json.WriteStartObject("residency");
        json.WriteNumber("relaunchEscalationTimeoutSeconds", residency.Escalation.TotalSeconds);
        json.WriteString("taskLostBehavior", residency.OnLoss);
        json.WriteEndObject();
    }

    private static void Limits(Utf8JsonWriter json, ResourceLimits limits)
    {
        json.WriteStartObject("resourceLimits");
        foreach (var (name, limit) in ((string, double?)[])[("cpus", limits.Cpus), ("mem", limits.MemoryMiB)])
        {
            if (limit == ResourceLimits.Unlimited) json.WriteString(name, "unlimited");
            else if (limit is { } amount) json.WriteNumber(name, amount);
        }
        json.WriteEndObject();
    }

    private static void Version(Utf8JsonWriter json, App known)
    {
        json.WriteString("version", Timestamp(known.Version));
        json.WriteStartObject("versionInfo");
        json.WriteString("lastScalingAt", Timestamp(known.LastScalingAt));
        json.WriteString("lastConfigChangeAt", Timestamp(known.LastConfigChangeAt));
        json.WriteEndObject();
    }

    /// <summary>A command that was given no container shows none.</summary>
    internal static bool HasContainer(AppSpec spec) => spec.Container is not (null or { ImageImplied: true, Volumes.Count: 0, Network: not ContainerNetwork.Bridge });

    private static void Container(Utf8JsonWriter json, ContainerSpec container)
    {
        json.WriteStartObject("container");
        json.WriteString("type", container.ImageImplied ? "MESOS" : "DOCKER");
        if (!container.ImageImplied) Docker(json, container);
        json.WriteStartArray("volumes");
        foreach (var mount in container.Volumes) Volume(json, mount);
        json.WriteEndArray();
        if (container.Network == ContainerNetwork.Bridge) PortMappings(json, container.PortMappings);
        json.WriteEndObject();
    }

    private static void Docker(Utf8JsonWriter json, ContainerSpec container)
    {
        json.WriteStartObject("docker");
        json.WriteBoolean("forcePullImage", container.ForcePull);
        json.WriteString("image", container.Image);
        json.WriteStartArray("parameters");
        foreach (var parameter in container.Parameters) Parameter(json, parameter.Key, parameter.Value);
        var named = container.Volumes.OfType<VolumeMount>().Where(v => v.Naming == VolumeNaming.DockerParameter).ToList();
        if (named.Count > 0) Parameter(json, "volume-driver", named[0].Driver ?? "drover");
        foreach (var volume in named) Parameter(json, "volume", $"{volume.Name}:{volume.ContainerPath}{(volume.ReadOnly ? ":ro" : "")}");
        json.WriteEndArray();
        json.WriteBoolean("privileged", container.Privileged);
        Dialect2015.Docker(json, container);
        json.WriteEndObject();
    }

    private static void Parameter(Utf8JsonWriter json, string key, string value)
    {
        json.WriteStartObject();
        json.WriteString("key", key);
        json.WriteString("value", value);
        json.WriteEndObject();
    }

    private static void Volume(Utf8JsonWriter json, Mount mount)
    {
        if (mount is VolumeMount { Naming: VolumeNaming.DockerParameter }) return;
        if (mount is VolumeMount { Persistent: { } persistent })
        {
            Persistent(json, mount, persistent);
            return;
        }
        json.WriteStartObject();
        json.WriteString("containerPath", mount.ContainerPath);
        if (mount is HostMount host) json.WriteString("hostPath", host.HostPath);
        if (mount is VolumeMount { Naming: VolumeNaming.HostPath } ours) json.WriteString("hostPath", $"{Core.Volumes.VolumeClaims.Root}/{ours.Name}");
        if (mount is VolumeMount { Naming: VolumeNaming.External } external) External(json, external);
        json.WriteString("mode", mount.ReadOnly ? "RO" : "RW");
        json.WriteEndObject();
    }

    private static void Persistent(Utf8JsonWriter json, Mount mount, PersistentAsk asked)
    {
        json.WriteStartObject();
        json.WriteString("containerPath", asked.Path);
        json.WriteString("mode", "RW");
        json.WriteStartObject("persistent");
        if (asked.MostMiB is { } most) json.WriteNumber("maxSize", most);
        json.WriteNumber("size", asked.SizeMiB);
        json.WriteString("type", asked.Kind);
        json.WriteEndObject();
        json.WriteEndObject();
        if (!asked.Linked) return;
        json.WriteStartObject();
        json.WriteString("containerPath", mount.ContainerPath);
        json.WriteString("hostPath", asked.Path);
        json.WriteString("mode", mount.ReadOnly ? "RO" : "RW");
        json.WriteEndObject();
    }

    private static void External(Utf8JsonWriter json, VolumeMount volume)
    {
        json.WriteStartObject("external");
        var own = volume.Driver is null or "drover" && !volume.Options.Items.Any(o => o.Key == VolumeJson.DriverOption);
        json.WriteString("name", volume.Name.Value);
        json.WriteString("provider", own ? "drover" : "dvdi");
        if (volume.SizeGiB is { } size) json.WriteNumber("size", size);
        if (volume.Options.Count > 0) Map(json, "options", volume.Options.Select(o => (o.Key, o.Value)));
        else if (!own) Map(json, "options", [(VolumeJson.DriverOption, volume.Driver!)]);
        json.WriteEndObject();
    }

    internal static void PortMappings(Utf8JsonWriter json, EquatableList<PortMapping> mappings)
    {
        json.WriteStartArray("portMappings");
        foreach (var mapping in mappings)
        {
            json.WriteStartObject();
            json.WriteNumber("containerPort", mapping.ContainerPort);
            if (mapping.HostPort is { } host) json.WriteNumber("hostPort", host);
            Map(json, "labels", mapping.Labels.Select(l => (l.Name, l.Value)));
            if (mapping.Name is { } name) json.WriteString("name", name);
            json.WriteString("protocol", mapping.Protocol);
            json.WriteNumber("servicePort", mapping.ServicePort);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void PortDefinitions(Utf8JsonWriter json, EquatableList<PortDefinition> definitions)
    {
        json.WriteStartArray("portDefinitions");
        foreach (var definition in definitions)
        {
            json.WriteStartObject();
            Map(json, "labels", definition.Labels.Select(l => (l.Name, l.Value)));
            if (definition.Name is { } name) json.WriteString("name", name);
            json.WriteNumber("port", definition.Port);
            json.WriteString("protocol", definition.Protocol);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void Networks(Utf8JsonWriter json, ContainerSpec? container)
    {
        json.WriteStartArray("networks");
        json.WriteStartObject();
        json.WriteString("mode", container switch { { NetworkName: not null } => "container", { Network: ContainerNetwork.Bridge } => "container/bridge", { Network: ContainerNetwork.None } => "none", _ => "host" });
        if (container?.NetworkName is { } name) json.WriteString("name", name);
        json.WriteEndObject();
        json.WriteEndArray();
    }

    private static void Constraints(Utf8JsonWriter json, EquatableList<Constraint> constraints)
    {
        json.WriteStartArray("constraints");
        foreach (var constraint in constraints) Constraint(json, constraint);
        json.WriteEndArray();
    }

    internal static void Constraint(Utf8JsonWriter json, Constraint constraint)
    {
        json.WriteStartArray();
        json.WriteStringValue(constraint.Field);
        json.WriteStringValue(Name(constraint.Operator));
        if (constraint.Value is { } value) json.WriteStringValue(value);
        json.WriteEndArray();
    }

    public static string Name(ConstraintOperator op) => op switch
    {
        ConstraintOperator.Unique => "UNIQUE",
        ConstraintOperator.Cluster => "CLUSTER",
        ConstraintOperator.GroupBy => "GROUP_BY",
        ConstraintOperator.Like => "LIKE",
        ConstraintOperator.Unlike => "UNLIKE",
        ConstraintOperator.MaxPer => "MAX_PER",
        _ => "IS",
    };

    private static void HealthChecks(Utf8JsonWriter json, EquatableList<HealthCheck> checks)
    {
        json.WriteStartArray("healthChecks");
        foreach (var check in checks)
        {
            json.WriteStartObject();
            if (check.Command is { } command) Map(json, "command", [("value", command)]);
            json.WriteNumber("delaySeconds", check.Delay.TotalSeconds);
            json.WriteNumber("gracePeriodSeconds", check.Grace.TotalSeconds);
            json.WriteBoolean("ignoreHttp1xx", check.IgnoreHttp1xx);
            json.WriteNumber("intervalSeconds", check.Interval.TotalSeconds);
            json.WriteString("ipProtocol", check.IpProtocol == IpProtocol.IPv6 ? "IPv6" : "IPv4");
            json.WriteNumber("maxConsecutiveFailures", check.MaxConsecutiveFailures);
            if (check.Path is { } path) json.WriteString("path", path);
            if (check.Port is { } port) json.WriteNumber("port", port);
            if (check.PortIndex is { } index) json.WriteNumber("portIndex", index);
            json.WriteString("protocol", HealthJson.Name(check.Protocol));
            json.WriteNumber("timeoutSeconds", check.Timeout.TotalSeconds);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void Unreachable(Utf8JsonWriter json, UnreachableStrategy? strategy)
    {
        if (strategy is null)
        {
            json.WriteString("unreachableStrategy", "disabled");
            return;
        }
        json.WriteStartObject("unreachableStrategy");
        json.WriteNumber("expungeAfterSeconds", strategy.ExpungeAfter.TotalSeconds);
        json.WriteNumber("inactiveAfterSeconds", strategy.InactiveAfter.TotalSeconds);
        json.WriteEndObject();
    }

    private static void Strings(Utf8JsonWriter json, string name, EquatableList<string> values)
    {
        if (values.Count == 0) return;
        json.WriteStartArray(name);
        foreach (var value in values) json.WriteStringValue(value);
        json.WriteEndArray();
    }

    internal static void Map(Utf8JsonWriter json, string name, IEnumerable<(string Name, string Value)> values)
    {
        json.WriteStartObject(name);
        foreach (var (key, value) in values) json.WriteString(key, value);
        json.WriteEndObject();
    }
}
