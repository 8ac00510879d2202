using System.CommandLine;
using Drover.Cli.Lab;

namespace Drover.Cli.Commands.Lab;

internal static class KillCommand
{
    public static Command Build()
    {
        var name = LabCommands.Name();
        var machine = LabCommands.Machine();
        var process = new Argument<string>("process") { Description = "control, dockerd, agent, or the program's name: guard, containerd, btrfs, …" };
        var signal = new Option<int>("--signal", "-s") { Description = "Number of the signal", DefaultValueFactory = _ => 9 };
        var command = new Command("kill", "End a process of a machine, as a failure would") { name, machine, process, signal };
        command.Does(async (parsed, cancel) =>
        {
            var layout = LabCommands.Layout(parsed, name);
            var on = parsed.GetValue(machine)!;
            var killed = LabKill.Run(layout, on, parsed.GetValue(process)!, parsed.GetValue(signal));
            foreach (var victim in killed) await parsed.InvocationConfiguration.Output.WriteLineAsync($"{on}: signal {parsed.GetValue(signal)} to {victim.Program} (pid {victim.Pid})");
            return 0;
        });
        return command;
    }
}
