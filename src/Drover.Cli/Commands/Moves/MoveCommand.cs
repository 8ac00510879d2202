using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Drover.Cli.Control;
using Drover.Cli.Output;
using Drover.Contracts.Api;
using Spectre.Console;

namespace Drover.Cli.Commands.Moves;

/// <summary>`drover move APP --to NODE`, `drover move show|undo|cut ID`</summary>
public static class MoveCommand
{
    public static Command Build()
    {
        var app = new Argument<string>("app") { Description = "The app to move, with its data" };
        var to = new Option<string?>("--to") { Description = "Node to move to", HelpName = "NODE" };
        var constraint = new Option<string?>("--constraint") { Description = "Any node with this attribute; becomes the app's constraint", HelpName = "ATTRIBUTE=VALUE" };
        var dryRun = new Option<bool>("--dry-run") { Description = "Show the plan, do nothing" };
        var limit = new Option<string?>("--limit") { Description = "Rate of the transfer, such as 50MB/s", HelpName = "RATE" };
        var target = new Option<string?>("--downtime-target") { Description = "Longest stop the move may add, such as 150ms; in place of the app's label", HelpName = "TIME" };
        var policy = new Option<string?>("--policy") { Description = "Where rounds no longer shrink: cut, throttle, wait or abort; in place of the app's label", HelpName = "POLICY" };
        var quiesce = new Option<string?>("--quiesce") { Description = "stop, or freeze (crash-consistent); in place of the app's label", HelpName = "HOW" };
        var withoutSizes = new Option<bool>("--without-sizes") { Description = "Also to a node whose driver cannot keep a volume to its size" };
        var detach = new Option<bool>("--detach", "-d") { Description = "Begin the move and return" };
        var command = new Command("move", "Move an app with its data to another node") { app, to, constraint, dryRun, limit, target, policy, quiesce, withoutSizes, detach };
        command.Subcommands.Add(Show());
        command.Subcommands.Add(Act("undo", "Take a move back before its commit: the source serves again", move => $"move {move.Id} of {move.App} is {(move.EndedAt is null ? "being undone" : "undone")}; {move.From} serves"));
        command.Subcommands.Add(Act("cut", "Send no further rounds than the one under way, whatever the prediction", move => $"move {move.Id} of {move.App} cuts over after the round under way"));
        command.SetAction(async (parsed, cancel) =>
        {
            if (parsed.GetValue(to) is null == parsed.GetValue(constraint) is null)
                throw new CommandFailure("say where to: either --to NODE or --constraint ATTRIBUTE=VALUE", ExitCode.Usage);
            using var client = RootCommands.Connect(parsed);
            var request = new MoveRequest(parsed.GetRequiredValue(app), parsed.GetValue(to), parsed.GetValue(constraint), parsed.GetValue(dryRun), Rate(parsed.GetValue(limit)),
                Span(parsed.GetValue(target))?.TotalMilliseconds, parsed.GetValue(policy), parsed.GetValue(quiesce)) { WithoutSizes = parsed.GetValue(withoutSizes) ? true : null };
            return parsed.GetValue(dryRun)
                ? await Plan(client, request, parsed.GetValue(RootCommands.Json), cancel)
                : await Move(client, request, parsed.GetValue(RootCommands.Json), parsed.GetValue(detach), cancel);
        });
        return command;
    }

    /// <summary>`50MB/s`, `50M`, `1GiB/s`, `800kB` → bytes a second. Decimal units unless they carry an `i`.</summary>
    internal static long Rate(string? text, string option = "--limit")
    {
        if (text is null) return 0;
        var trimmed = text.EndsWith("/s", StringComparison.OrdinalIgnoreCase) ? text[..^2] : text;
        var digits = new string([.. trimmed.TakeWhile(c => char.IsAsciiDigit(c) || c == '.')]);
        long? factor = trimmed[digits.Length..].ToUpperInvariant() switch
        {
            "" or "B" => 1, "K" or "KB" => 1000, "M" or "MB" => 1_000_000, "G" or "GB" => 1_000_000_000, "KIB" => 1L << 10, "MIB" => 1L << 20, "GIB" => 1L << 30, _ => null,
        };
        if (factor is null || !double.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value) || value <= 0 || value * factor.Value > 1e15)
            throw new CommandFailure($"{option} '{text}' is no rate: give something like 50MB/s", ExitCode.Usage);
        return (long)(value * factor.Value);
    }

    /// <summary>`150ms`, `2s`, `1.5s`, `150` (milliseconds).</summary>
    internal static TimeSpan? Span(string? text)
    {
        if (text is null) return null;
        var digits = new string([.. text.TakeWhile(c => char.IsAsciiDigit(c) || c == '.')]);
        double? factor = text[digits.Length..] switch { "" or "ms" => 1, "s" => 1000, _ => null };
        if (factor is null || !double.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value) || value * factor is not (>= 1 and <= 3_600_000))
            throw new CommandFailure($"--downtime-target '{text}' is no time from 1ms to 1 hour: give something like 150ms", ExitCode.Usage);
        return TimeSpan.FromMilliseconds(value * factor.Value);
    }

    private static Command Act(string verb, string description, Func<MoveView, string> said)
    {
        var id = new Argument<string>("id") { Description = "The move's id, from `drover moves`; `last` for the newest" };
        var command = new Command(verb, description) { id };
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var move = JsonSerializer.Deserialize(await client.Text(HttpMethod.Post, $"/api/v1/moves/{Uri.EscapeDataString(await Named(client, parsed.GetRequiredValue(id), cancel))}/{verb}", null, cancel), ApiJson.Default.MoveView)!;
            if (parsed.GetValue(RootCommands.Json)) Screen.Json(move, ApiJson.Default.MoveView);
            else Console.Out.WriteLine(said(move));
            return ExitCode.Done;
        });
        return command;
    }

    private static async Task<string> Named(ControlClient client, string asked, CancellationToken cancel) => asked != "last" ? asked
        : (await client.Get("/api/v1/moves", ApiJson.Default.MovesView, cancel)).Moves.MaxBy(m => m.RequestedAt)?.Id ?? throw new CommandFailure("there was no move yet: begin one with `drover move APP --to NODE`", ExitCode.NotFound);

    private static async Task<int> Plan(ControlClient client, MoveRequest request, bool json, CancellationToken cancel)
    {
        var plan = await client.Post("/api/v1/moves", request, ApiJson.Default.MoveRequest, ApiJson.Default.MovePlanView, cancel);
        if (json) { Screen.Json(plan, ApiJson.Default.MovePlanView); return ExitCode.Done; }
        AnsiConsole.MarkupLine($"[bold]{Screen.Safe(plan.App)}[/]  {Screen.Safe(plan.From)} → {Screen.Safe(plan.To)}  (a plan: nothing was done)");
        AnsiConsole.MarkupLine($"volumes {Screen.Safe(string.Join(' ', plan.Volumes))}, {Screen.Bytes(plan.VolumeBytes)}; to send about {Screen.Bytes(plan.BytesToSend)}{(plan.Incremental ? " (only the difference)" : "")} in {plan.RoundsExpected} rounds");
        AnsiConsole.MarkupLine($"time about {(plan.SecondsExpected is { } s ? Screen.Ms(s * 1000) : "unknown")}, predicted stop {Screen.Ms(plan.PredictedStopMs)} and the app's own stop and start");
        if (plan.Policy is { } policy)
            AnsiConsole.MarkupLine($"storage {Screen.Safe(plan.Driver)}, quiesce {Screen.Safe(policy.Quiesce)}, target {Screen.Ms(policy.DowntimeTargetMs)} added, then {Screen.Safe(policy.Policy)}{(policy.Limit > 0 ? $", at most {Screen.Rate(policy.Limit)}" : "")}");
        if (plan.WaitsFor is { } waits) AnsiConsole.MarkupLine($"[yellow]it would wait for {Screen.Safe(waits)}[/]");
        foreach (var note in plan.Notes) AnsiConsole.MarkupLine(Screen.Safe(note));
        foreach (var refused in plan.Refused) AnsiConsole.MarkupLine($"[yellow]not {Screen.Safe(refused.Node)}: {Screen.Safe(refused.Reason)}[/]");
        return ExitCode.Done;
    }

    private static async Task<int> Move(ControlClient client, MoveRequest request, bool json, bool detach, CancellationToken cancel)
    {
        var move = await client.Post("/api/v1/moves", request, ApiJson.Default.MoveRequest, ApiJson.Default.MoveView, cancel);
        if (detach)
        {
            if (json) Screen.Json(move, ApiJson.Default.MoveView);
            else Console.Out.WriteLine($"move {move.Id} begun; follow it with `drover move show {move.Id} --follow`");
            return ExitCode.Done;
        }
        move = await Follow(client, move, !json, cancel);
        if (json) Screen.Json(move, ApiJson.Default.MoveView);
        return move.State == "Done" ? ExitCode.Done : ExitCode.Failed;
    }

    private static Command Show()
    {
        var id = new Argument<string>("id") { Description = "The move's id, from `drover moves`; `last` for the newest" };
        var follow = new Option<bool>("--follow", "-f") { Description = "Stay until it has ended" };
        var command = new Command("show", "One move: its rounds and the waterfall of its cutover") { id, follow };
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var asked = await Named(client, parsed.GetRequiredValue(id), cancel);
            var move = await client.Get($"/api/v1/moves/{Uri.EscapeDataString(asked)}", ApiJson.Default.MoveView, cancel);
            var json = parsed.GetValue(RootCommands.Json);
            if (parsed.GetValue(follow)) move = await Follow(client, move, !json, cancel);
            else if (!json) Write(move);
            if (json) Screen.Json(move, ApiJson.Default.MoveView);
            return ExitCode.Done;
        });
        return command;
    }

    /// <summary>Draws the move as it goes and returns it when it has ended.</summary>
    private static async Task<MoveView> Follow(ControlClient client, MoveView move, bool draw, CancellationToken cancel)
    {
        var last = move;
        if (!draw || !Screen.Terminal)
        {
            string? said = null;
            await foreach (var seen in MoveWatch.Until(client, move, cancel))
            {
                last = seen;
                if (draw && seen.State != said) Console.Out.WriteLine($"{seen.Id} {said = seen.State}{(seen.WaitsFor is { } waits ? $" (waits for {waits})" : "")}");
            }
            if (draw) Write(last);
            return last;
        }
        // Drawn over itself: lines must not be longer than the terminal's.
        AnsiConsole.Profile.Width = Math.Max(60, Console.WindowWidth);
        await AnsiConsole.Live(MoveDrawing.Draw(move)).AutoClear(false).StartAsync(async live =>
        {
            await foreach (var seen in MoveWatch.Until(client, move, cancel))
            {
                last = seen;
                live.UpdateTarget(MoveDrawing.Draw(seen));
            }
        });
        return last;
    }

    private static void Write(MoveView move)
    {
        AnsiConsole.Write(MoveDrawing.Draw(move));
        AnsiConsole.WriteLine();
    }
}
