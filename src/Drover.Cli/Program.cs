using System.CommandLine;
using Drover.Cli.Commands;
using Drover.Cli.Control;

namespace Drover.Cli;

public static class Program
{
    public static async Task<int> Main(string[] args)
    {
        Spectre.Console.AnsiConsole.Profile.Width = Output.Screen.Unbroken;
        var root = RootCommands.Build();
        var parsed = root.Parse(args);
        try
        {
            if (args.Length == 0) { await root.Parse(["--help"]).InvokeAsync(); return ExitCode.Usage; }
            if (parsed.Action is System.CommandLine.Invocation.ParseErrorAction) return Usage(parsed);
            return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (CommandFailure failure)
        {
            await Console.Error.WriteLineAsync($"drover: {failure.Message}");
            return failure.ExitCode;
        }
        catch (OperationCanceledException)
        {
            return ExitCode.Interrupted;
        }
    }

    /// <summary>Usage errors end with 2, as in every shell tool, and point at the help instead of printing all of it.</summary>
    private static int Usage(ParseResult parsed)
    {
        // An unknown word also leaves its command without the one it needs: only the cause is told.
        var unknown = parsed.UnmatchedTokens.Count > 0;
        foreach (var error in parsed.Errors.Where(e => !unknown || !e.Message.StartsWith("Required command", StringComparison.Ordinal))) Console.Error.WriteLine($"drover: {error.Message}");
        var names = new List<string>();
        for (System.CommandLine.Parsing.SymbolResult? at = parsed.CommandResult; at is System.CommandLine.Parsing.CommandResult command; at = at.Parent) names.Insert(0, at.Parent is null ? "drover" : command.Command.Name);
        Console.Error.WriteLine($"See `{string.Join(' ', names)} --help`.");
        return ExitCode.Usage;
    }
}
