using System.Globalization;
using Docker.DotNet.Models;
using Drover.Contracts.Agent;

namespace Drover.Agent.Containers.Docker;

/// <summary>Translates an order into the Engine API's create request (API 1.41).</summary>
internal static class DockerOrder
{
    private const long CpuPeriodMicroseconds = 100_000;
    /// <summary>The engine refuses less than 6 MiB.</summary>
    private const long SmallestMemory = 6L * 1024 * 1024;

    /// <exception cref="DockerParameterRefused">A docker parameter that is not known or not allowed; the message names it.</exception>
    public static CreateContainerParameters Of(ContainerOrder order, string orderHash)
    {
        var instance = order.Instance;
        var spec = instance.Container;
        var request = new CreateContainerParameters
        {
            Name = ContainerNames.Of(instance.TaskId),
            Image = spec.Image,
            User = spec.User,
            Env = [.. spec.Env.Select(pair => $"{pair.Key}={pair.Value}")],
            Labels = Labels(order, orderHash),
            ExposedPorts = new Dictionary<string, EmptyStruct>(),
            HostConfig = new HostConfig
            {
                RestartPolicy = new RestartPolicy { Name = RestartPolicyKind.No },
                NetworkMode = spec.Network.Length == 0 ? "bridge" : spec.Network,
                Binds = [.. order.Binds.Select(Bind)],
                PortBindings = new Dictionary<string, IList<PortBinding>>(),
                Privileged = spec.Privileged,
                CgroupParent = order.CgroupParent,
            },
        };
        Command(request, spec);
        Limits(request.HostConfig!, spec);
        if (spec.Network == "bridge") Publish(request, spec);
        foreach (var parameter in spec.Parameters) DockerParameters.Apply(request, parameter.Key, parameter.Value);
        request.Labels![ContainerLabels.Quota] = (request.HostConfig!.CPUQuota is > 0 and var quota ? quota : -1).ToString(CultureInfo.InvariantCulture);
        return request;
    }

    private static void Command(CreateContainerParameters request, Contracts.Agent.ContainerSpec spec)
    {
        if (spec.Command.Length > 0)
        {
            // As Mesos does it: the command takes the place of the image's entry point.
            request.Entrypoint = ["/bin/sh", "-c"];
            request.Cmd = [spec.Command];
        }
        else if (spec.Args.Count > 0)
        {
            request.Cmd = [.. spec.Args];
        }
    }

    /// <summary>Shares rule while the machine is busy, the quota always. NanoCpus is not used: the engine refuses more than the machine has cores.</summary>
    private static void Limits(HostConfig host, Contracts.Agent.ContainerSpec spec)
    {
        if (spec.Cpus > 0)
        {
            host.CPUShares = Math.Max(2, (long)(spec.Cpus * 1024));
        }
        if (Limit(spec.Cpus, spec.CpuLimit) is > 0 and var cpus)
        {
            host.CPUPeriod = CpuPeriodMicroseconds;
            host.CPUQuota = Math.Max(1000, (long)(cpus * CpuPeriodMicroseconds));
        }
        if (Limit(spec.MemoryMib, spec.MemoryLimitMib) is > 0 and var memory) host.Memory = Math.Max(SmallestMemory, (long)(memory * 1024 * 1024));

        // What is set aside is the limit, unless another was given; less than 0: none.
        static double Limit(double aside, double limit) => limit == 0 ? aside : limit;
    }

    private static void Publish(CreateContainerParameters request, Contracts.Agent.ContainerSpec spec)
    {
        foreach (var port in spec.Ports)
        {
            foreach (var protocol in port.Protocol.Length == 0 ? ["tcp"] : port.Protocol.Split(','))
            {
                var key = string.Create(CultureInfo.InvariantCulture, $"{port.ContainerPort}/{protocol}");
                request.ExposedPorts![key] = default;
                if (port.HostPort == 0) continue;
                if (!request.HostConfig!.PortBindings!.TryGetValue(key, out var bindings)) request.HostConfig!.PortBindings![key] = bindings = [];
                bindings.Add(new PortBinding { HostPort = port.HostPort.ToString(CultureInfo.InvariantCulture) });
            }
        }
    }

    private static string Bind(Containers.Bind bind)
    {
        if (bind.HostPath.Contains(':', StringComparison.Ordinal) || bind.ContainerPath.Contains(':', StringComparison.Ordinal))
            throw new DockerParameterRefused($"mount {bind.HostPath} → {bind.ContainerPath}: a path with ':' cannot be mounted by Docker; use another folder");
        return $"{bind.HostPath}:{bind.ContainerPath}:{(bind.ReadOnly ? "ro" : "rw")}";
    }

    private static Dictionary<string, string> Labels(ContainerOrder order, string orderHash)
    {
        var instance = order.Instance;
        var labels = new Dictionary<string, string>(instance.Container.Labels)
        {
            [ContainerLabels.App] = instance.AppId,
            [ContainerLabels.Instance] = instance.InstanceId,
            [ContainerLabels.Task] = instance.TaskId,
            [ContainerLabels.Incarnation] = instance.Incarnation.ToString(CultureInfo.InvariantCulture),
            [ContainerLabels.Epochs] = ContainerEpochs.Format(instance.Volumes),
            [ContainerLabels.Grace] = instance.StopGraceMs.ToString(CultureInfo.InvariantCulture),
            [ContainerLabels.Order] = orderHash,
            [ContainerLabels.Marathon] = instance.TaskId,
        };
        return labels;
    }
}
