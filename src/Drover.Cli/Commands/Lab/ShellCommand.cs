using System.CommandLine;
using Drover.Cli.Lab;

namespace Drover.Cli.Commands.Lab;

internal static class ShellCommand
{
    public static Command Build()
    {
        var name = LabCommands.Name();
        var machine = LabCommands.Machine();
        var run = new Argument<string[]>("command") { Description = "What to run there instead of a shell, after --", Arity = ArgumentArity.ZeroOrMore };
        var command = new Command("shell", "A shell on a machine of the lab: its network, its mounts, its Docker") { name, machine, run };
        command.Does(async (parsed, cancel) =>
        {
            var layout = LabCommands.Layout(parsed, name);
            var plan = LabRecord.Read(layout).Plan;
            var on = parsed.GetValue(machine)!;
            plan.AddressOf(on);
            var environment = new Dictionary<string, string> { ["DROVER_CONTROL"] = plan.ControlUrl, ["PS1"] = $"{on}:\\w\\$ " };
            if (on != LabPlan.Master) environment["DOCKER_HOST"] = $"unix://{layout.DockerSocket(on)}";
            var programs = new HostPrograms();
            var what = parsed.GetValue(run) is { Length: > 0 } given ? given : ["bash", "--norc"];
            return await programs.RunAttached("nsenter", [.. new LabMachines(programs, layout).Enter(on), "--", .. what], environment, cancel);
        });
        return command;
    }
}
