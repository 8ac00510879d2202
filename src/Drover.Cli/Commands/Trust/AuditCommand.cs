using System.CommandLine;
using System.Globalization;
using Drover.Cli.Control;
using Drover.Cli.Output;
using Drover.Contracts.Api;
using Drover.Core.Trust;
using Spectre.Console;

namespace Drover.Cli.Commands.Trust;

/// <summary>`drover audit`: who changed what, and who was not let in.</summary>
public static class AuditCommand
{
    public static Command Build()
    {
        var tail = new Option<int?>("--tail") { Description = "How many of the newest entries (default: 50)", HelpName = "N" };
        var command = new Command("audit", "Who changed what, and who was not let in") { tail };
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var view = await client.Get(parsed.GetValue(tail) is { } count ? string.Create(CultureInfo.InvariantCulture, $"/api/v1/audit?tail={count}") : "/api/v1/audit", TrustApiJson.Default.AuditView, cancel);
            if (parsed.GetValue(RootCommands.Json)) { Screen.Json(view, TrustApiJson.Default.AuditView); return ExitCode.Done; }
            var table = Screen.Table("ENTRY", "AT", "WHO", "ROLE", "FROM", "WHAT", "OUTCOME", "DETAIL");
            foreach (var e in view.Entries)
                table.AddRow(e.Sequence.ToString(CultureInfo.InvariantCulture), e.At.ToString("u", CultureInfo.InvariantCulture), Screen.Safe(e.Who), Screen.Safe(e.Role), Screen.Safe(e.From),
                    Screen.Safe(e.What), Screen.Safe(e.Outcome), Screen.Safe(e.Detail));
            Screen.Write(table);
            return ExitCode.Done;
        });
        command.Subcommands.Add(Verify());
        return command;
    }

    private static Command Verify()
    {
        var file = new Option<string?>("--file") { Description = "A copy of the control plane's audit files, instead of asking the control plane: the folder they are in, or one file if there is only one", HelpName = "FOLDER|FILE" };
        var head = new Option<string?>("--head") { Description = "With --file: the number and hash that the log must reach, as verify printed them earlier", HelpName = "N:HASH" };
        var command = new Command("verify", "Check that no entry was changed, removed or moved") { file, head };
        command.SetAction(async (parsed, cancel) =>
        {
            var found = parsed.GetValue(file) is { } path ? OfFile(path, parsed.GetValue(head)) : await OfControl(parsed, cancel);
            if (parsed.GetValue(RootCommands.Json)) Screen.Json(found, TrustApiJson.Default.AuditVerdictView);
            else if (found.Ok) Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"audit log: {found.Lines} entries, unchanged; head {found.Lines}:{found.Head}"));
            else Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"drover: audit log: {(found.File is { } name ? $"{name}: line {found.LineOfFile}" : $"line {found.Line}")} {found.Fault}; the {found.Lines} before it are unchanged"));
            return found.Ok ? ExitCode.Done : ExitCode.Failed;
        });
        return command;
    }

    private static async Task<AuditVerdictView> OfControl(ParseResult parsed, CancellationToken cancel)
    {
        using var client = RootCommands.Connect(parsed);
        return await client.Get("/api/v1/audit/verify", TrustApiJson.Default.AuditVerdictView, cancel);
    }

    internal static AuditVerdictView OfFile(string path, string? head)
    {
        AuditHead? known = null;
        if (head is not null)
            known = head.Split(':') is [var number, { Length: 64 } hash] && long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? new(count, hash)
                : throw new CommandFailure($"--head '{head}': give it as `drover audit verify` prints it, NUMBER:HASH", ExitCode.Usage);
        try
        {
            IReadOnlyList<string> files = Directory.Exists(path) ? [.. AuditSegments.InOrder(Directory.EnumerateFiles(path).Select(f => Path.GetFileName(f))).Select(name => Path.Combine(path, name))] : [path];
            if (files.Count == 0) throw new CommandFailure($"--file {path}: there is no {AuditSegments.Current} and no audit-NUMBER.jsonl in this folder: name the folder with the copies");
            var found = AuditSegments.Verify(files.Select(file => new AuditSegment(Path.GetFileName(file), File.ReadLines(file))), known);
            return new(found.Fault is null, found.Lines, found.Head, found.Fault, found.Line, found.File, found.LineOfFile);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw new CommandFailure($"--file {path} cannot be read: {e.Message}"); }
    }
}
