using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Drover.Cli.Lab;
using Drover.Cli.Output;
using Spectre.Console;

namespace Drover.Cli.Commands.Lab;

internal static class StatusCommand
{
    /// <summary>Exit code when a process of the lab does not run.</summary>
    public const int Incomplete = 3;

    public static Command Build()
    {
        var name = LabCommands.Name();
        var command = new Command("status", $"Machines and processes of the lab; exit code {Incomplete} when one does not run") { name };
        command.Does(async (parsed, cancel) =>
        {
            var layout = LabCommands.Layout(parsed, name);
            var status = await LabView.Read(new HostPrograms(), layout, cancel);
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(RootCommands.Json)) await output.WriteLineAsync(JsonSerializer.Serialize(status, LabJson.Default.LabStatus));
            else Draw(status, output);
            return status.Complete ? 0 : Incomplete;
        });
        return command;
    }

    private static void Draw(LabStatus status, TextWriter output)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(output) });
        console.Profile.Width = Screen.Unbroken;
        var table = new Table().Border(TableBorder.Simple).AddColumns("MACHINE", "ADDRESS", "ATTRIBUTES", "PROCESS", "PID", "STATE", "MEMORY");
        foreach (var machine in status.Machines)
            foreach (var process in machine.Processes)
            {
                var first = process == machine.Processes[0];
                table.AddRow(
                    first ? machine.Name : "",
                    first ? machine.Address + (machine.Partitioned ? " [red]cut off[/]" : "") : "",
                    first ? Markup.Escape(string.Join(' ', machine.Attributes.Select(a => $"{a.Key}:{a.Value}"))) : "",
                    process.Role, process.Running ? process.Pid.ToString(CultureInfo.InvariantCulture) : "-",
                    process.Running ? "[green]running[/]" : "[red]down[/]",
                    process.Running ? string.Create(CultureInfo.InvariantCulture, $"{process.MemoryBytes / 1048576.0:0} MiB") : "-");
            }
        console.MarkupLine($"lab [bold]{status.Name}[/] on {status.Subnet}, control plane {status.ControlUrl}");
        console.Write(table);
    }
}
