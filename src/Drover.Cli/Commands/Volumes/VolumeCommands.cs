using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Drover.Cli.Commands.Cluster;
using Drover.Cli.Control;
using Drover.Cli.Output;
using Drover.Contracts.Api;

namespace Drover.Cli.Commands.Volumes;

/// <summary>`drover volume create|list|show|snapshot|restore|clone|resize|schedule|delete|undelete|operations|promote|export|import`</summary>
public static class VolumeCommands
{
    private static readonly Argument<string> Name = new("name") { Description = "The volume" };
    private static readonly Option<bool> Detach = new("--detach", "-d") { Description = "Begin the work and return" };
    private static readonly Option<string?> Size = new("--size") { Description = "What it may grow to, such as 10GiB", HelpName = "SIZE" };

    public static Command Build()
    {
        return new Command("volume", "Volumes: made, kept, given back, let go")
        {
            VolumesCommand.Build("list"), Show(), Create(), Snapshot(), Restore(), Clone(), Resize(), Schedule(), Delete(), Undelete(), Operations(), VolumePromoteCommand.Build(), VolumeExportCommand.Build(), VolumeImportCommand.Build(),
        };
    }

    private static Command Create()
    {
        var node = new Option<string?>("--node") { Description = "Node for its data (default: the one with the most free space)", HelpName = "NODE" };
        var command = new Command("create", "Make an empty volume") { Name, node, Size, Detach };
        command.SetAction((parsed, cancel) => Work(parsed, HttpMethod.Post, "", new() { ["name"] = parsed.GetRequiredValue(Name), ["node"] = parsed.GetValue(node), ["size"] = parsed.GetValue(Size) }, cancel));
        return command;
    }

    private static Command Snapshot()
    {
        var given = new Argument<string?>("snapshot") { Description = "Its name (default: by the time)", Arity = ArgumentArity.ZeroOrOne };
        var drop = new Option<bool>("--delete") { Description = "Let this snapshot go" };
        var command = new Command("snapshot", "Keep the data as it is at this moment; the app goes on (crash-consistent)") { Name, given, drop, Detach };
        command.SetAction((parsed, cancel) =>
        {
            var snapshot = parsed.GetValue(given);
            if (!parsed.GetValue(drop)) return Work(parsed, HttpMethod.Post, "/snapshots", new() { ["name"] = snapshot }, cancel);
            if (snapshot is null) throw new CommandFailure("say which snapshot to delete: drover volume snapshot NAME SNAPSHOT --delete", ExitCode.Usage);
            return Work(parsed, HttpMethod.Delete, $"/snapshots/{Uri.EscapeDataString(snapshot)}", null, cancel);
        });
        return command;
    }

    private static Command Restore()
    {
        var snapshot = new Argument<string>("snapshot") { Description = "Snapshot to go back to" };
        var command = new Command("restore", "Go back to a snapshot: the app is stopped and started again; what is live now is kept as a snapshot first") { Name, snapshot, Detach };
        command.SetAction((parsed, cancel) => Work(parsed, HttpMethod.Post, "/restore", new() { ["snapshot"] = parsed.GetRequiredValue(snapshot) }, cancel));
        return command;
    }

    private static Command Clone()
    {
        var to = new Argument<string>("new") { Description = "Name of the new volume" };
        var of = new Option<string?>("--snapshot") { Description = "Of this snapshot (default: of the present data)", HelpName = "SNAPSHOT" };
        var command = new Command("clone", "Make an independent volume of another one's data, on the same node") { Name, to, of, Detach };
        command.SetAction((parsed, cancel) => Work(parsed, HttpMethod.Post, "/clone", new() { ["to"] = parsed.GetRequiredValue(to), ["snapshot"] = parsed.GetValue(of) }, cancel));
        return command;
    }

    private static Command Resize()
    {
        var size = new Argument<string>("size") { Description = "Such as 10GiB; none: no limit" };
        var command = new Command("resize", "Change what the volume may grow to, while it is in use") { Name, size, Detach };
        command.SetAction((parsed, cancel) => Work(parsed, HttpMethod.Post, "/resize", new() { ["size"] = parsed.GetRequiredValue(size) }, cancel));
        return command;
    }

    private static Command Schedule()
    {
        var every = new Option<string?>("--every") { Description = "A snapshot each such span: 15m, 1h, 1d", HelpName = "SPAN" };
        var keep = new Option<int>("--keep") { Description = "How many of them stay", DefaultValueFactory = _ => 24 };
        var off = new Option<bool>("--off") { Description = "No schedule any more; what it took stays" };
        var command = new Command("schedule", "Have snapshots taken and pruned by the clock") { Name, every, keep, off };
        command.SetAction((parsed, cancel) =>
        {
            if (parsed.GetValue(off) == parsed.GetValue(every) is not null) throw new CommandFailure("say either --every SPAN or --off", ExitCode.Usage);
            return parsed.GetValue(off) ? Work(parsed, HttpMethod.Delete, "/schedule", null, cancel)
                : Work(parsed, HttpMethod.Put, "/schedule", new() { ["everySeconds"] = Span(parsed.GetValue(every)!, "--every").TotalSeconds, ["keep"] = parsed.GetValue(keep) }, cancel);
        });
        return command;
    }

    private static Command Delete()
    {
        var keep = new Option<string?>("--keep") { Description = "How long its data is kept for undelete (default: 7d)", HelpName = "SPAN" };
        var purge = new Option<bool>("--purge") { Description = "Remove the data of a deleted volume now, for good" };
        var confirm = new Option<string?>("--confirm") { Description = "With --purge: the volume's name again", HelpName = "NAME" };
        var command = new Command("delete", "Take a volume off the list; its data is kept for a while") { Name, keep, purge, confirm, Detach };
        command.SetAction((parsed, cancel) =>
        {
            if (!parsed.GetValue(purge))
                return Work(parsed, HttpMethod.Delete, parsed.GetValue(keep) is { } span ? string.Create(CultureInfo.InvariantCulture, $"?keepSeconds={Span(span, "--keep").TotalSeconds:0}") : "", null, cancel);
            var name = parsed.GetRequiredValue(Name);
            if (parsed.GetValue(confirm) != name) throw new CommandFailure($"--purge cannot be undone: say --confirm {name}", ExitCode.Usage);
            return Work(parsed, HttpMethod.Post, "/purge", new() { ["confirm"] = name }, cancel);
        });
        return command;
    }

    private static Command Undelete()
    {
        var command = new Command("undelete", "Give a deleted volume back, with its data") { Name };
        command.SetAction((parsed, cancel) => Work(parsed, HttpMethod.Post, "/undelete", null, cancel));
        return command;
    }

    private static Command Show()
    {
        var command = new Command("show", "One volume: where it is, its snapshots, what is done with it") { Name };
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var volume = await client.Get(PathOf(parsed, ""), ApiJson.Default.VolumeView, cancel);
            if (parsed.GetValue(RootCommands.Json)) Screen.Json(volume, ApiJson.Default.VolumeView);
            else VolumeDrawing.Write(volume, TimeProvider.System.GetUtcNow());
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Operations()
    {
        var command = new Command("operations", "Work on volumes, the newest first");
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var all = await client.Get("/api/v1/operations", ApiJson.Default.OperationsView, cancel);
            if (parsed.GetValue(RootCommands.Json)) Screen.Json(all, ApiJson.Default.OperationsView);
            else VolumeDrawing.Write(all, TimeProvider.System.GetUtcNow());
            return ExitCode.Done;
        });
        return command;
    }

    /// <summary>`15m`, `1h`, `7d`, `90s`</summary>
    internal static TimeSpan Span(string text, string option)
    {
        double? factor = text.Length < 2 ? null : text[^1] switch { 's' => 1, 'm' => 60, 'h' => 3600, 'd' => 86400, _ => null };
        if (factor is null || !double.TryParse(text[..^1], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value) || value * factor is not (>= 0 and <= 1e9))
            throw new CommandFailure($"{option} '{text}' is no span: give something like 15m, 1h or 7d", ExitCode.Usage);
        return TimeSpan.FromSeconds(value * factor.Value);
    }

    private static string PathOf(ParseResult parsed, string rest) => $"/api/v1/volumes/{Uri.EscapeDataString(parsed.GetRequiredValue(Name))}{rest}";

    /// <summary>Asks, waits for the end of the work unless told not to, and says what came of it.</summary>
    private static async Task<int> Work(ParseResult parsed, HttpMethod method, string rest, JsonObject? body, CancellationToken cancel)
    {
        using var client = RootCommands.Connect(parsed);
        var creates = method == HttpMethod.Post && rest.Length == 0;
        var answer = await client.SendJson(method, creates ? "/api/v1/volumes" : PathOf(parsed, rest), method == HttpMethod.Delete ? null : Given(body), cancel);
        var json = parsed.GetValue(RootCommands.Json);
        if (answer?["verb"] is null)
        {
            var volume = JsonSerializer.Deserialize(answer!.ToJsonString(), ApiJson.Default.VolumeView)!;
            if (json) Screen.Json(volume, ApiJson.Default.VolumeView);
            else Console.Out.WriteLine(VolumeDrawing.Line(volume));
            return ExitCode.Done;
        }
        var operation = JsonSerializer.Deserialize(answer.ToJsonString(), ApiJson.Default.OperationView)!;
        var detached = parsed.CommandResult.Command.Options.Contains(Detach) && parsed.GetValue(Detach);
        if (!detached) operation = await Ended(client, operation, json, cancel);
        if (json) Screen.Json(operation, ApiJson.Default.OperationView);
        else if (operation.Failure is null) Console.Out.WriteLine(VolumeDrawing.Line(operation));
        return operation.Failure is null ? ExitCode.Done : throw new CommandFailure($"the {operation.Verb} of volume {operation.Volume} failed: {operation.Failure}");
    }

    private static string Given(JsonObject? body)
    {
        var given = new JsonObject();
        foreach (var (name, value) in body ?? []) if (value is not null) given[name] = value.DeepClone();
        return given.ToJsonString();
    }

    private static async Task<OperationView> Ended(ControlClient client, OperationView operation, bool quiet, CancellationToken cancel)
    {
        string? said = null;
        while (operation.EndedAt is null)
        {
            if (operation.WaitsFor is { } waits && waits != said && !quiet) Console.Error.WriteLine($"waits for {said = waits}");
            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, cancel);
            operation = await client.Get($"/api/v1/operations/{operation.Id}", ApiJson.Default.OperationView, cancel);
        }
        return operation;
    }
}
