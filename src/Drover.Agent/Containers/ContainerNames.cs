using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Drover.Contracts.Agent;
using Drover.Core;

namespace Drover.Agent.Containers;

public static class ContainerNames
{
    private const string Prefix = "drover-";

    public static string Of(string taskId) => Prefix + taskId;
}

/// <summary>The label `name=epoch,…` of a container's volumes.</summary>
public static class ContainerEpochs
{
    public static string Format(IEnumerable<InstanceVolume> volumes) =>
        string.Join(',', volumes.Select(v => string.Create(CultureInfo.InvariantCulture, $"{v.Name}={v.Epoch}")).Order(StringComparer.Ordinal));

    /// <summary>Pairs that cannot be read are left out: such a label then never equals an order's.</summary>
    public static IReadOnlyDictionary<VolumeName, Epoch> Parse(string? label)
    {
        var epochs = new Dictionary<VolumeName, Epoch>();
        foreach (var pair in (label ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            var at = pair.LastIndexOf('=');
            if (at > 0 && long.TryParse(pair.AsSpan(at + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var epoch))
                epochs[new VolumeName(pair[..at])] = new Epoch(epoch);
        }
        return epochs;
    }
}

/// <summary>Tells a repeated create from a different one: a hash over what the container is made of, not over wishes or health checks.</summary>
public static class OrderHash
{
    public static string Of(ContainerOrder order)
    {
        var text = new StringBuilder();
        var instance = order.Instance;
        var spec = instance.Container;
        Add(text, "task", instance.TaskId, spec.Image, spec.Command, spec.User, spec.Network, order.CgroupParent, ContainerEpochs.Format(instance.Volumes));
        Add(text, "limits", spec.Cpus.ToString("R", CultureInfo.InvariantCulture), spec.MemoryMib.ToString("R", CultureInfo.InvariantCulture), spec.Privileged ? "privileged" : "");
        if (spec.CpuLimit != 0 || spec.MemoryLimitMib != 0) Add(text, "most", spec.CpuLimit.ToString("R", CultureInfo.InvariantCulture), spec.MemoryLimitMib.ToString("R", CultureInfo.InvariantCulture));
        Add(text, "args", [.. spec.Args]);
        Add(text, "env", [.. spec.Env.OrderBy(e => e.Key, StringComparer.Ordinal).SelectMany(e => new[] { e.Key, e.Value })]);
        Add(text, "labels", [.. spec.Labels.OrderBy(e => e.Key, StringComparer.Ordinal).SelectMany(e => new[] { e.Key, e.Value })]);
        Add(text, "parameters", [.. spec.Parameters.SelectMany(p => new[] { p.Key, p.Value })]);
        foreach (var port in spec.Ports) Add(text, "port", Number(port.ContainerPort), Number(port.HostPort), port.Protocol);
        foreach (var bind in order.Binds) Add(text, "bind", bind.HostPath, bind.ContainerPath, bind.ReadOnly ? "ro" : "rw");
        if (spec.Overlay is { } overlay) Add(text, "overlay", overlay.Network, overlay.Address, Number(overlay.PrefixLength), overlay.Mac);
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())))[..32];
    }

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static void Add(StringBuilder text, string kind, params ReadOnlySpan<string> values)
    {
        text.Append(kind);
        // Lengths keep `a`,`bc` apart from `ab`,`c`.
        foreach (var value in values) text.Append('|').Append(value.Length).Append(':').Append(value);
        text.Append('\n');
    }
}
