using System.CommandLine;
using Drover.Cli.Lab;

namespace Drover.Cli.Commands.Lab;

internal static class StartCommand
{
    public static Command Build()
    {
        var name = LabCommands.Name();
        var machine = LabCommands.Machine();
        var process = new Argument<string>("process") { Description = "control, dockerd or agent" };
        var command = new Command("start", "Start a process of a machine again; nothing when it runs") { name, machine, process };
        command.Does(async (parsed, cancel) =>
        {
            var layout = LabCommands.Layout(parsed, name);
            await new LabUp(new HostPrograms(), layout, LabCommands.Progress(parsed)).Start(LabRecord.Read(layout).Plan, parsed.GetValue(machine)!, parsed.GetValue(process)!, cancel);
            return 0;
        });
        return command;
    }
}
