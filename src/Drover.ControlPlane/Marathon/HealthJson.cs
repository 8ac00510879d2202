using Drover.Core;
using Drover.Core.Apps;

namespace Drover.ControlPlane.Marathon;

/// <summary>`healthChecks`, with Marathon's defaults: grace 300 s, interval 60 s, timeout 20 s, three failures, delay 15 s.</summary>
public static class HealthJson
{
    private const int MaxChecks = 32;

    public static EquatableList<HealthCheck>? Read(JsonFields fields, AppSpec app)
    {
        if (fields.Objects("healthChecks") is not { } checks) return null;
        if (checks.Count > MaxChecks) fields.Violations.Rule("/healthChecks", $"holds {checks.Count} checks; at most {MaxChecks} are run");
        return checks.Select(check => One(check, app)).OfType<HealthCheck>().ToEquatableList();
    }

    private static HealthCheck? One(JsonFields check, AppSpec app)
    {
        var name = check.String("protocol") ?? "HTTP";
        if (Protocol(name) is not { } protocol)
        {
            check.Violations.Rule(check.At("protocol"), "must be HTTP, HTTPS, TCP, COMMAND, MESOS_HTTP, MESOS_HTTPS or MESOS_TCP");
            return null;
        }
        var command = protocol == HealthProtocol.Command ? check.Object("command")?.String("value") : null;
        if (protocol == HealthProtocol.Command && string.IsNullOrEmpty(command))
            check.Violations.Rule(check.At("command"), "must be given for COMMAND, such as {\"value\": \"pg_isready\"}");
        var port = AppJson.Whole(check, "port", 1, 65_535);
        var index = AppJson.Whole(check, "portIndex", 0, 65_535);
        if (protocol != HealthProtocol.Command && port is null)
        {
            index ??= 0;
            var ports = app.Container is { Network: ContainerNetwork.Bridge } container ? container.PortMappings.Count : app.Ports.Count;
            if (index >= ports)
                check.Violations.Rule(check.At("portIndex"), $"Health check port indices must address an element of the ports array or container port mappings; there are {ports}. Add a port mapping or give \"port\"");
        }
        var ip = check.String("ipProtocol");
        if (ip is not (null or "IPv4" or "IPv6")) check.Violations.Rule(check.At("ipProtocol"), "must be IPv4 or IPv6");
        return new(protocol, check.String("path") ?? (IsHttp(protocol) ? "/" : null), index, port, command,
            AppJson.Seconds(check, "gracePeriodSeconds") ?? TimeSpan.FromSeconds(300), Positive(check, "intervalSeconds", 60), Positive(check, "timeoutSeconds", 20),
            AppJson.Whole(check, "maxConsecutiveFailures", 0, 1_000_000) ?? 3, AppJson.Seconds(check, "delaySeconds") ?? TimeSpan.FromSeconds(15), check.Boolean("ignoreHttp1xx") ?? false)
        {
            IpProtocol = ip == "IPv6" ? IpProtocol.IPv6 : IpProtocol.IPv4,
        };
    }

    private static TimeSpan Positive(JsonFields check, string name, int otherwise)
    {
        var given = AppJson.Seconds(check, name);
        if (given == TimeSpan.Zero) check.Violations.Rule(check.At(name), "must be more than 0 seconds");
        return given ?? TimeSpan.FromSeconds(otherwise);
    }

    private static bool IsHttp(HealthProtocol protocol) => protocol is HealthProtocol.Http or HealthProtocol.Https or HealthProtocol.MesosHttp or HealthProtocol.MesosHttps;

    private static HealthProtocol? Protocol(string name) => name switch
    {
        "HTTP" => HealthProtocol.Http,
        "HTTPS" => HealthProtocol.Https,
        "TCP" => HealthProtocol.Tcp,
        "COMMAND" => HealthProtocol.Command,
        "MESOS_HTTP" => HealthProtocol.MesosHttp,
        "MESOS_HTTPS" => HealthProtocol.MesosHttps,
        "MESOS_TCP" => HealthProtocol.MesosTcp,
        _ => null,
    };

    public static string Name(HealthProtocol protocol) => protocol switch
    {
        HealthProtocol.Http => "HTTP",
        HealthProtocol.Https => "HTTPS",
        HealthProtocol.Tcp => "TCP",
        HealthProtocol.Command => "COMMAND",
        HealthProtocol.MesosHttp => "MESOS_HTTP",
        HealthProtocol.MesosHttps => "MESOS_HTTPS",
        _ => "MESOS_TCP",
    };
}
