using System.Text.Json;
using System.Text.Json.Serialization;

namespace Drover.Cli.Lab;

/// <summary>`lab.json`: what a lab is and what it has started. Written before anything is made, so that a crash leaves a trace.</summary>
/// <param name="Control">Address of the control plane; other commands look for it here.</param>
public sealed record LabRecord(LabPlan Plan, string Control, IReadOnlyList<LabProcess> Processes, LabResources Resources)
{
    public LabRecord With(LabProcess process) =>
        this with { Processes = [.. Processes.Where(p => (p.Machine, p.Role) != (process.Machine, process.Role)), process] };

    /// <summary>Null when there is no such lab.</summary>
    public static LabRecord? Find(LabLayout layout)
    {
        if (!File.Exists(layout.StateFile)) return null;
        try { return JsonSerializer.Deserialize(File.ReadAllBytes(layout.StateFile), LabJson.Default.LabRecord); }
        catch (JsonException e) { throw new LabException($"{layout.StateFile} cannot be read ({e.Message}): `drover lab down --name {layout.Name}` removes the lab without it", e); }
    }

    public static LabRecord Read(LabLayout layout) => Find(layout)
        ?? throw new LabException($"there is no lab '{layout.Name}' on this machine: `drover lab up{(layout.Name == LabPlan.DefaultName ? "" : $" --name {layout.Name}")}` makes it");

    /// <summary>Replaces the file in one step: a reader sees the old one or the new one.</summary>
    public void Write(LabLayout layout)
    {
        File.WriteAllBytes(layout.StateFile + ".new", JsonSerializer.SerializeToUtf8Bytes(this, LabJson.Default.LabRecord));
        File.Move(layout.StateFile + ".new", layout.StateFile, overwrite: true);
    }
}

/// <param name="Role">`control`, `dockerd` or `agent`.</param>
/// <param name="StartTime">Clock ticks since boot, as in `/proc/PID/stat`: tells it from a later process with the same pid.</param>
public sealed record LabProcess(string Machine, string Role, int Pid, ulong StartTime);

/// <summary>What the lab holds on this machine, for a reader; `down` goes by names, not by this.</summary>
public sealed record LabResources(IReadOnlyList<string> Links, IReadOnlyDictionary<string, string> Namespaces, IReadOnlyList<string> LoopDevices, IReadOnlyList<string> Mounts)
{
    public static readonly LabResources None = new([], new Dictionary<string, string>(), [], []);
}

/// <summary>GET-like view of a lab: `drover lab status --json`.</summary>
public sealed record LabStatus(string Name, string Subnet, string ControlUrl, bool Complete, IReadOnlyList<MachineStatus> Machines);

public sealed record MachineStatus(string Name, string Address, bool Partitioned, IReadOnlyDictionary<string, string> Attributes, IReadOnlyList<ProcessStatus> Processes);

/// <param name="Pid">0 when it does not run.</param>
public sealed record ProcessStatus(string Role, int Pid, bool Running, long MemoryBytes, string Log);

[JsonSourceGenerationOptions(WriteIndented = true, IgnoreReadOnlyProperties = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(LabRecord))]
[JsonSerializable(typeof(LabStatus))]
public sealed partial class LabJson : JsonSerializerContext;
