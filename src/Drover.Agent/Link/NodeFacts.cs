using System.Globalization;
using System.Reflection;
using Drover.Agent.Reconcile;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Core;

namespace Drover.Agent.Link;

/// <summary>What this node says of itself when it meets the control plane.</summary>
public sealed class NodeFacts(AgentOptions options, IVolumeDriver volumes, Orders orders, Reconciler reconciler, AgentSeat seat)
{
    private readonly Dictionary<VolumeName, long> _told = [];

    public async Task<Hello> Hello(CancellationToken cancel)
    {
        var space = await volumes.Space(cancel);
        var hello = new Hello
        {
            Node = options.Node, Hostname = options.Hostname.Length > 0 ? options.Hostname : options.Node, Address = options.Address, TransferPort = options.TransferPort,
            Cpus = options.Cpus > 0 ? options.Cpus : Environment.ProcessorCount,
            MemoryMib = options.MemoryMiB > 0 ? options.MemoryMiB : Math.Floor(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 1024.0 / 1024.0),
            DiskMib = Math.Floor(space.Total.Bytes / 1024.0 / 1024.0), VolumeDriver = volumes.Name, AgentVersion = Version, Seat = seat.Id,
            Pool = new() { TotalBytes = space.Total.Bytes, FreeBytes = space.Free.Bytes },
        };
        foreach (var (name, value) in options.Attributes) hello.Attributes[name] = value;
        foreach (var range in options.Ports.Split(','))
        {
            var ends = range.Split('-');
            hello.Ports.Add(new PortRange { Begin = int.Parse(ends[0], CultureInfo.InvariantCulture), End = int.Parse(ends[^1], CultureInfo.InvariantCulture) });
        }
        hello.Instances.AddRange(reconciler.Observed());
        foreach (var replica in await volumes.List(cancel)) hello.Volumes.Add(NodeBook.Observed(replica, orders.Current.Volumes.GetValueOrDefault(replica.Name)));
        return hello;
    }

    /// <summary>Live volumes whose size differs by more than a hundredth from what was told last: each telling is a write of the cluster's store.</summary>
    public async Task<IReadOnlyList<VolumeObserved>> ChangedSizes(CancellationToken cancel)
    {
        var changed = new List<VolumeObserved>();
        foreach (var replica in await volumes.List(cancel))
        {
            if (!replica.HasLive) continue;
            var told = _told.GetValueOrDefault(replica.Name);
            if (Math.Abs(replica.Used.Bytes - told) * 100 <= told) continue;
            _told[replica.Name] = replica.Used.Bytes;
            changed.Add(NodeBook.Observed(replica, orders.Current.Volumes.GetValueOrDefault(replica.Name)));
        }
        return changed;
    }

    private static string Version => typeof(NodeFacts).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";
}
