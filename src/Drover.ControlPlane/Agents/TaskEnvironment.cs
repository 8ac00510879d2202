using System.Globalization;
using System.Text;
using Drover.Core.Apps;

namespace Drover.ControlPlane.Agents;

/// <summary>Environment of a task as Marathon (1.10, EnvironmentHelper) makes it: what it is, then its ports, then the user's own, which wins.</summary>
public static class TaskEnvironment
{
    /// <summary>Marathon leaves out labels whose name or value is this long or longer.</summary>
    private const int LabelLimit = 512;

    public static SortedDictionary<string, string> Of(Instance instance, int incarnation, string host)
    {
        var env = new SortedDictionary<string, string>(StringComparer.Ordinal);
        Context(env, instance, instance.Id.Task(incarnation).Value);
        env["HOST"] = host;
        Ports(env, instance);
        if (instance.Spec.Volumes.Any(v => v.Persistent is { Linked: false })) env["MESOS_SANDBOX"] = Marathon.PersistentJson.Sandbox;
        foreach (var own in instance.Spec.Env) env[own.Name] = own.Value;
        return env;
    }

    private static void Context(SortedDictionary<string, string> env, Instance instance, string task)
    {
        var spec = instance.Spec;
        env["MESOS_TASK_ID"] = task;
        env["MARATHON_APP_ID"] = instance.App.Value;
        env["MARATHON_APP_VERSION"] = instance.AppVersion.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
        if (spec.Container is { ImageImplied: false } container) env["MARATHON_APP_DOCKER_IMAGE"] = container.Image;
        env["MARATHON_APP_RESOURCE_CPUS"] = Number(spec.Cpus);
        env["MARATHON_APP_RESOURCE_MEM"] = Number(spec.MemoryMiB);
        env["MARATHON_APP_RESOURCE_DISK"] = Number(spec.DiskMiB);
        env["MARATHON_APP_RESOURCE_GPUS"] = ((int)spec.Gpus).ToString(CultureInfo.InvariantCulture);
        var labels = spec.Labels.Where(l => l.Name.Length < LabelLimit && l.Value.Length < LabelLimit).Select(l => (Name: Upper(l.Name), l.Value)).ToList();
        env["MARATHON_APP_LABELS"] = string.Join(' ', labels.Select(l => l.Name));
        foreach (var (name, value) in labels) env[$"MARATHON_APP_LABEL_{name}"] = value;
    }

    private static void Ports(SortedDictionary<string, string> env, Instance instance)
    {
        var asked = Asked(instance.Spec);
        var ports = new List<string>();
        for (var i = 0; i < asked.Count; i++)
        {
            var published = i < instance.Ports.Count ? instance.Ports[i] : 0;
            var port = (published != 0 ? published : asked[i].Port).ToString(CultureInfo.InvariantCulture);
            ports.Add(port);
            env[$"PORT{i}"] = port;
            env[$"PORT_{(asked[i].Port != 0 ? asked[i].Port.ToString(CultureInfo.InvariantCulture) : port)}"] = port;
            if (asked[i].Name is { Length: > 0 } name) env[$"PORT_{Upper(name)}"] = port;
        }
        if (ports.Count == 0) return;
        env["PORT"] = ports[0];
        env["PORTS"] = string.Join(',', ports);
    }

    private static List<(int Port, string? Name)> Asked(AppSpec spec) => spec.Container is { Network: not ContainerNetwork.Host, PortMappings.Count: > 0 } container
        ? [.. container.PortMappings.Select(m => (m.ContainerPort, m.Name))]
        : [.. spec.Ports.Select(p => (p.Port, p.Name))];

    private static string Upper(string name)
    {
        var text = new StringBuilder(name.Length);
        foreach (var c in name) text.Append(char.IsAsciiLetterOrDigit(c) ? char.ToUpperInvariant(c) : '_');
        return text.ToString();
    }

    /// <summary>As Scala writes a Double: `0.5`, `128.0`.</summary>
    private static string Number(double value)
    {
        var text = value.ToString("R", CultureInfo.InvariantCulture);
        return text.Contains('.', StringComparison.Ordinal) || text.Contains('E', StringComparison.Ordinal) ? text : $"{text}.0";
    }
}
