using System.CommandLine;
using Drover.Cli.Lab;

namespace Drover.Cli.Commands.Lab;

internal static class DownCommand
{
    public static Command Build()
    {
        var name = LabCommands.Name();
        var command = new Command("down", "Remove the lab and all it holds, whatever state it is in") { name };
        command.Does(async (parsed, cancel) =>
        {
            await new LabDown(new HostPrograms(), LabCommands.Layout(parsed, name), LabCommands.Progress(parsed)).Run(cancel);
            return 0;
        });
        return command;
    }
}
