using System.Globalization;
using System.Text.RegularExpressions;
using Drover.Core;
using Drover.Core.Apps;

namespace Drover.ControlPlane.Marathon;

/// <summary>Port mappings (a network of the container's own), port definitions (the host's network) and 2015's `ports`.</summary>
public static partial class PortJson
{
    private const int MaxPorts = 1_000;

    [GeneratedRegex(@"^[a-z0-9]([-a-z0-9]*[a-z0-9])?\z")]
    private static partial Regex PortName();

    public static EquatableList<PortMapping>? Mappings(JsonFields container)
    {
        if (container.Objects("portMappings") is not { } items) return null;
        var mappings = items.Take(MaxPorts).Select(item => new PortMapping(
            Port(item, "containerPort") ?? 0, Port(item, "hostPort"), Port(item, "servicePort") ?? 0, Protocol(item), Name(item), Labels(item))).ToEquatableList();
        foreach (var item in items.Take(MaxPorts)) Networks(item);
        Bound(container, "portMappings", items.Count);
        var taken = new HashSet<(int, string)>();
        for (var i = 0; i < mappings.Count; i++)
        {
            if (mappings[i] is { HostPort: > 0 } mapping && !taken.Add((mapping.HostPort.Value, mapping.Protocol)))
                container.Violations.Rule($"{container.At("portMappings")}({i})/hostPort", $"host port {mapping.HostPort} is asked for twice; each mapping needs its own");
        }
        UniqueNames(container, "portMappings", mappings.Select(m => m.Name));
        return mappings;
    }

    /// <summary>`portDefinitions`, or `ports` in its place.</summary>
    public static EquatableList<PortDefinition>? Definitions(JsonFields fields)
    {
        if (fields.Objects("portDefinitions") is { } items)
        {
            Bound(fields, "portDefinitions", items.Count);
            var definitions = items.Take(MaxPorts).Select(item => new PortDefinition(Port(item, "port") ?? 0, Protocol(item), Name(item), Labels(item))).ToEquatableList();
            UniquePorts(fields, "portDefinitions", definitions.Select(d => d.Port));
            UniqueNames(fields, "portDefinitions", definitions.Select(d => d.Name));
            if (ServicePorts(fields) is { Count: > 0 } twice && twice != definitions.Select(d => d.Port).ToEquatableList())
                fields.Violations.Rule("/ports", "must be the same as in portDefinitions where both are given; leave ports out");
            return definitions;
        }
        if (ServicePorts(fields) is not { } ports) return null;
        UniquePorts(fields, "ports", ports);
        return ports.Select(port => new PortDefinition(port, "tcp", null, [])).ToEquatableList();
    }

    public static EquatableList<int>? ServicePorts(JsonFields fields)
    {
        if (fields.Array("ports") is not { } items) return null;
        Bound(fields, "ports", items.Count);
        var ports = new List<int>(items.Count);
        foreach (var (value, path) in items.Take(MaxPorts))
        {
            if (int.TryParse(value.ValueKind == System.Text.Json.JsonValueKind.String ? JsonFields.TextOf(value) : value.GetRawText(), NumberStyles.Integer, CultureInfo.InvariantCulture, out var port))
            {
                if (port is >= 0 and <= 65_535) ports.Add(port);
                else fields.Violations.Rule(path, $"must be a port between 0 (any) and 65535; it was {port}");
            }
            else fields.Violations.WrongType(path, "error.expected.jsnumber", $"must be a port number; it was {JsonFields.Described(value)}");
        }
        return ports.ToEquatableList();
    }

    /// <summary>One of `ipAddress.discovery.ports`: reached at the container's own address, not published on the node.</summary>
    public static PortMapping Discovered(JsonFields port) => new(Port(port, "number") ?? 0, null, 0, Protocol(port), Name(port), Labels(port));

    private static void Networks(JsonFields item)
    {
        if (item.Strings("networkNames") is { } names && names.Items.FirstOrDefault(n => n != Core.Networks.Addressing.Weave.Value) is { } other)
            item.Violations.Rule(item.At("networkNames"), $"there is no container network '{other}'; leave networkNames out");
    }

    private static int? Port(JsonFields item, string name) => AppJson.Whole(item, name, 0, 65_535);

    private static string Protocol(JsonFields item)
    {
        var protocol = item.String("protocol") ?? "tcp";
        if (protocol is "tcp" or "udp" or "udp,tcp") return protocol;
        if (protocol == "tcp,udp") return "udp,tcp";
        item.Violations.Rule(item.At("protocol"), "must be tcp, udp or \"udp,tcp\"");
        return "tcp";
    }

    private static string? Name(JsonFields item)
    {
        var name = item.String("name");
        if (name is not null && (name.Length > 63 || !PortName().IsMatch(name)))
            item.Violations.Rule(item.At("name"), "must be at most 63 lower-case letters, digits and '-' (not first or last)");
        return name;
    }

    private static EquatableList<Label> Labels(JsonFields item) => item.Map("labels", "must be a string")?.Select(l => new Label(l.Key, l.Value)).ToEquatableList() ?? [];

    private static void Bound(JsonFields fields, string name, int count)
    {
        if (count > MaxPorts) fields.Violations.Rule(fields.At(name), $"holds {count} ports; at most {MaxPorts} are taken");
    }

    private static void UniquePorts(JsonFields fields, string name, IEnumerable<int> ports)
    {
        if (ports.Where(port => port != 0).GroupBy(port => port).FirstOrDefault(group => group.Count() > 1) is { } twice)
            fields.Violations.Rule(fields.At(name), $"Ports must be unique; {twice.Key} is given twice");
    }

    private static void UniqueNames(JsonFields fields, string name, IEnumerable<string?> names)
    {
        if (names.OfType<string>().GroupBy(n => n).FirstOrDefault(group => group.Count() > 1) is { } twice)
            fields.Violations.Rule(fields.At(name), $"Port names must be unique; '{twice.Key}' is given twice");
    }
}
