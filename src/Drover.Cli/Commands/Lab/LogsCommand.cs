using System.CommandLine;
using Drover.Cli.Lab;

namespace Drover.Cli.Commands.Lab;

internal static class LogsCommand
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(250);

    public static Command Build()
    {
        var name = LabCommands.Name();
        var machine = LabCommands.Machine();
        var process = new Argument<string?>("process") { Description = "control, dockerd or agent (default: all of the machine)", Arity = ArgumentArity.ZeroOrOne };
        var follow = new Option<bool>("--follow", "-f") { Description = "Go on with what is written from now on" };
        var lines = new Option<int>("--lines", "-n") { Description = "How many last lines of each to show", DefaultValueFactory = _ => 100 };
        var command = new Command("logs", "What the processes of a machine have written") { name, machine, process, follow, lines };
        command.Does(async (parsed, cancel) =>
        {
            var layout = LabCommands.Layout(parsed, name);
            var on = parsed.GetValue(machine)!;
            LabRecord.Read(layout).Plan.AddressOf(on);
            var roles = LabDaemons.RolesOf(on).Where(r => parsed.GetValue(process) is not { } only || r == only).ToList();
            if (roles.Count == 0) throw new LabException($"{on} has no process '{parsed.GetValue(process)}'; it has {string.Join(", ", LabDaemons.RolesOf(on))}");
            await Show(roles.ToDictionary(r => r, r => layout.Log(on, r)), parsed.GetValue(lines), parsed.GetValue(follow), parsed.InvocationConfiguration.Output, cancel);
            return 0;
        });
        return command;
    }

    private static async Task Show(Dictionary<string, string> logs, int lines, bool follow, TextWriter output, CancellationToken cancel)
    {
        var readers = logs.Where(l => File.Exists(l.Value)).ToDictionary(l => l.Key, l => new StreamReader(new FileStream(l.Value, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete)));
        try
        {
            foreach (var (role, reader) in readers)
            {
                var last = new Queue<string>();
                while (await reader.ReadLineAsync(cancel) is { } line) { last.Enqueue(line); if (last.Count > lines) last.Dequeue(); }
                foreach (var line in last) await output.WriteLineAsync($"{role} | {line}");
            }
            // Files have no event for "more": they are looked at again.
            while (follow)
            {
                foreach (var (role, reader) in readers)
                    while (await reader.ReadLineAsync(cancel) is { } line) await output.WriteLineAsync($"{role} | {line}");
                await Task.Delay(Look, TimeProvider.System, cancel);
            }
        }
        finally { foreach (var reader in readers.Values) reader.Dispose(); }
    }
}
