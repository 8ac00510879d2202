namespace Drover.Cli.Lab;

/// <summary>Ends processes of a lab on purpose.</summary>
public static class LabKill
{
    /// <param name="process">A role of the machine, or a program's name; `guard` is the agent's second process.</param>
    public static IReadOnlyList<RunningProcess> Run(LabLayout layout, string machine, string process, int signal)
    {
        var record = LabRecord.Read(layout);
        record.Plan.AddressOf(machine);
        if (signal is < 1 or > 64) throw new LabException($"--signal {signal}: signals are 1 to 64");
        var running = Running(layout, machine);
        var victims = LabDaemons.RolesOf(machine).Contains(process)
            ? record.Processes.Where(p => (p.Machine, p.Role) == (machine, process) && ProcessTable.Runs(p.Pid, p.StartTime)).Select(p => ProcessTable.Find(p.Pid)).OfType<RunningProcess>().ToList()
            : [.. running.Where(p => p.Program == process || (p.Program == "drover-agent" && p.Arguments.Skip(1).FirstOrDefault() == process))];
        if (victims.Count == 0)
            throw new LabException($"{machine} runs no '{process}'; it runs {(running.Count == 0 ? "nothing" : string.Join(", ", running.Select(p => p.Program).Distinct().Order(StringComparer.Ordinal)))}");
        foreach (var victim in victims) ProcessTable.Signal(victim.Pid, signal);
        return victims;
    }

    /// <summary>What runs in the machine's own cgroups; containers are its too.</summary>
    private static List<RunningProcess> Running(LabLayout layout, string machine) =>
        [.. new Cgroups().Processes($"{layout.Cgroup}/{machine}").Select(ProcessTable.Find).OfType<RunningProcess>()];
}
