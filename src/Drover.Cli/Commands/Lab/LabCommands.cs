using System.CommandLine;
using Drover.Cli.Lab;

namespace Drover.Cli.Commands.Lab;

/// <summary>`drover lab …`</summary>
public static class LabCommands
{
    public static Command Build() => new("lab", "A cluster of several machines made out of this one, to learn and to rehearse on (needs root)")
    {
        UpCommand.Build(), DownCommand.Build(), StatusCommand.Build(), ImagesCommand.Build(), ShellCommand.Build(), LogsCommand.Build(),
        KillCommand.Build(), StartCommand.Build(), PartitionCommand.Build(), PartitionCommand.BuildHeal(),
    };

    internal static Option<string> Name() => new("--name") { Description = "The lab's name", DefaultValueFactory = _ => LabPlan.DefaultName };

    internal static Argument<string> Machine() => new("node") { Description = "master, node1, node2, …" };

    internal static LabLayout Layout(ParseResult parsed, Option<string> name)
    {
        var given = parsed.GetValue(name)!;
        LabPlan.CheckName(given);
        return new(given);
    }

    /// <summary>Checks for root, turns a refusal into a line on standard error and exit code 1, Ctrl-C into 130.</summary>
    internal static void Does(this Command command, Func<ParseResult, CancellationToken, Task<int>> action) => command.SetAction(async (parsed, cancel) =>
    {
        try
        {
            if (!ProcessTable.IsRoot) throw new LabException($"`drover lab {command.Name}` makes namespaces, mounts and links, which only root may: run it with sudo");
            return await action(parsed, cancel);
        }
        catch (Exception e) when (e is LabException or IOException or UnauthorizedAccessException)
        {
            await parsed.InvocationConfiguration.Error.WriteLineAsync($"drover: {e.Message}");
            return 1;
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            await parsed.InvocationConfiguration.Error.WriteLineAsync("drover: interrupted");
            return 130;
        }
    });

    internal static LabProgress Progress(ParseResult parsed) => new(parsed.InvocationConfiguration.Output, TimeProvider.System);
}
