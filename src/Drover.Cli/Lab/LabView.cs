namespace Drover.Cli.Lab;

/// <summary>Looks at a lab without changing it.</summary>
public static class LabView
{
    public static async Task<LabStatus> Read(HostPrograms programs, LabLayout layout, CancellationToken cancel)
    {
        var record = LabRecord.Read(layout);
        var cut = await new LabNetwork(programs, layout).Partitioned(cancel);
        var machines = record.Plan.Machines.Select(m => new MachineStatus(m, record.Plan.AddressOf(m), cut.Contains(m),
            m == LabPlan.Master ? new Dictionary<string, string>() : record.Plan.Node(m).Attributes,
            [.. LabDaemons.RolesOf(m).Select(r => Process(layout, record, m, r))])).ToList();
        return new(record.Plan.Name, record.Plan.Subnet, record.Control, machines.All(m => m.Processes.All(p => p.Running)), machines);
    }

    private static ProcessStatus Process(LabLayout layout, LabRecord record, string machine, string role)
    {
        var process = record.Processes.FirstOrDefault(p => (p.Machine, p.Role) == (machine, role));
        var runs = process is not null && ProcessTable.Runs(process.Pid, process.StartTime);
        return new(role, runs ? process!.Pid : 0, runs, runs ? ProcessTable.Memory(process!.Pid) : 0, layout.Log(machine, role));
    }
}
