using System.CommandLine;
using Drover.Cli.Lab;

namespace Drover.Cli.Commands.Lab;

internal static class PartitionCommand
{
    public static Command Build() => Build("partition", "Cut a machine off from the others: its packets are dropped without a word", cut: true);

    public static Command BuildHeal() => Build("heal", "Connect a machine that was cut off", cut: false);

    private static Command Build(string verb, string description, bool cut)
    {
        var name = LabCommands.Name();
        var machine = LabCommands.Machine();
        var command = new Command(verb, description) { name, machine };
        command.Does(async (parsed, cancel) =>
        {
            var layout = LabCommands.Layout(parsed, name);
            var on = parsed.GetValue(machine)!;
            LabRecord.Read(layout).Plan.AddressOf(on);
            await new LabNetwork(new HostPrograms(), layout).SetPartitioned(on, cut, cancel);
            await parsed.InvocationConfiguration.Output.WriteLineAsync(cut ? $"{on} is cut off; `drover lab heal {on}` connects it again" : $"{on} is connected");
            return 0;
        });
        return command;
    }
}
