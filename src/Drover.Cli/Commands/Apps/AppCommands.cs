using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Drover.Cli.Control;
using Drover.Cli.Output;
using Spectre.Console;

namespace Drover.Cli.Commands.Apps;

/// <summary>`drover app show|deploy|scale|restart|delete`</summary>
public static class AppCommands
{
    public static Command Build()
    {
        var command = new Command("app", "One app: show, deploy, scale, restart, delete");
        command.Subcommands.Add(Show());
        command.Subcommands.Add(Deploy());
        command.Subcommands.Add(Scale());
        command.Subcommands.Add(Restart());
        command.Subcommands.Add(Delete());
        return command;
    }

    internal static Argument<string> AppArgument() => new("app") { Description = "The app's id, `mongo` or `/shop/db`" };

    /// <summary>`mongo`, `/mongo` → the path of the app under /v2/apps.</summary>
    internal static string Path(string app) => app.Split('/').Any(part => part is "." or "..")
        ? throw new CommandFailure($"'{app}' is no app id: '.' and '..' are not allowed in it", ExitCode.Usage)
        : $"/v2/apps/{string.Join('/', app.Trim('/').Split('/').Select(Uri.EscapeDataString))}";

    private static Option<bool> ForceOption() => new("--force") { Description = "Even if a deployment has the app locked: that deployment is cancelled" };

    private static Command Show()
    {
        var app = AppArgument();
        var command = new Command("show", "Everything about one app") { app };
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var answer = await client.GetJson(Path(parsed.GetRequiredValue(app)), cancel);
            if (parsed.GetValue(RootCommands.Json)) Console.Out.WriteLine(answer.ToJsonString());
            else if (answer["app"] is { } shown)
            {
                Draw(shown);
                var waiting = (await client.Get("/api/v1/status", Contracts.Api.ApiJson.Default.StatusView, cancel)).Waiting.Where(w => w.App == Words.Text(shown["id"]));
                foreach (var one in waiting) AnsiConsole.MarkupLine($"[yellow]{Screen.Safe(one.What)} waits for {Screen.Safe(one.WaitsFor)}[/]");
            }
            return ExitCode.Done;
        });
        return command;
    }

    private static void Draw(JsonNode app)
    {
        AnsiConsole.MarkupLine($"[bold]{Screen.Safe(Words.Text(app["id"]))}[/]  {AppsCommand.Status(app)}  {Words.Number(app["tasksRunning"])} of {Words.Number(app["instances"])} running");
        AnsiConsole.MarkupLine($"image {Screen.Safe(Words.Text(app["container"]?["docker"]?["image"]))}  cpus {Words.Number(app["cpus"])}  mem {Words.Number(app["mem"])} MiB  version {Screen.Safe(Words.Text(app["version"]))}");
        foreach (var constraint in app["constraints"]?.AsArray() ?? [])
            AnsiConsole.MarkupLine($"constraint {Screen.Safe(string.Join(' ', constraint?.AsArray().Select(Words.Text) ?? []))}");
        foreach (var volume in app["container"]?["volumes"]?.AsArray() ?? [])
            AnsiConsole.MarkupLine($"volume {Screen.Safe(volume?.ToJsonString())}");
        foreach (var task in app["tasks"]?.AsArray() ?? [])
            AnsiConsole.MarkupLine($"task {Screen.Safe(Words.Text(task?["id"]))}  {Screen.Safe(Words.Text(task?["state"]))}  on {Screen.Safe(Words.Text(task?["host"]))}  ports {Screen.Safe(task?["ports"]?.ToJsonString())}");
        if (app["lastTaskFailure"] is { } failure)
            AnsiConsole.MarkupLine($"[yellow]last failure {Screen.Safe(Words.Text(failure["timestamp"]))} on {Screen.Safe(Words.Text(failure["host"]))}: {Screen.Safe(Words.Text(failure["message"]))}[/]");
    }

    private static Command Deploy()
    {
        var file = new Argument<string>("file") { Description = "App definition as JSON; `-` reads standard input" };
        var force = ForceOption();
        var command = new Command("deploy", "Create the app, or change it to what the file says") { file, force };
        command.SetAction(async (parsed, cancel) =>
        {
            var text = await Read(parsed.GetRequiredValue(file), cancel);
            var id = Words.Text(Parse(text, parsed.GetRequiredValue(file))["id"]);
            if (id is "-" or "") throw new CommandFailure("the app definition has no \"id\": add one, such as \"id\": \"mongo\"");
            using var client = RootCommands.Connect(parsed);
            var answer = await client.SendJson(HttpMethod.Put, $"{Path(id)}{Force(parsed.GetValue(force))}", text, cancel);
            return Deployment(parsed, answer, id);
        });
        return command;
    }

    private static async Task<string> Read(string file, CancellationToken cancel)
    {
        try
        {
            return file == "-" ? await Console.In.ReadToEndAsync(cancel) : await File.ReadAllTextAsync(file, cancel);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailure($"'{file}' cannot be read: {e.Message}", ExitCode.Usage);
        }
    }

    private static JsonNode Parse(string text, string file)
    {
        try
        {
            return JsonNode.Parse(text) as JsonObject ?? throw new CommandFailure($"'{file}' holds no JSON object: an app definition looks like {{\"id\": \"mongo\", …}}");
        }
        catch (System.Text.Json.JsonException e)
        {
            throw new CommandFailure($"'{file}' is no JSON: {e.Message}");
        }
    }

    private static Command Scale()
    {
        var app = AppArgument();
        var instances = new Argument<int>("instances") { Description = "How many copies" };
        var force = ForceOption();
        var command = new Command("scale", "Change the number of instances") { app, instances, force };
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var body = $"{{\"instances\":{parsed.GetValue(instances).ToString(CultureInfo.InvariantCulture)}}}";
            var answer = await client.SendJson(HttpMethod.Put, $"{Path(parsed.GetRequiredValue(app))}{Force(parsed.GetValue(force))}", body, cancel);
            return Deployment(parsed, answer, parsed.GetRequiredValue(app));
        });
        return command;
    }

    private static Command Restart()
    {
        var app = AppArgument();
        var force = ForceOption();
        var command = new Command("restart", "Restart every instance by the app's upgrade strategy") { app, force };
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var answer = await client.SendJson(HttpMethod.Post, $"{Path(parsed.GetRequiredValue(app))}/restart{Force(parsed.GetValue(force))}", null, cancel);
            return Deployment(parsed, answer, parsed.GetRequiredValue(app));
        });
        return command;
    }

    private static Command Delete()
    {
        var app = AppArgument();
        var command = new Command("delete", "Stop the app and forget it; its volumes stay") { app };
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var answer = await client.SendJson(HttpMethod.Delete, Path(parsed.GetRequiredValue(app)), null, cancel);
            return Deployment(parsed, answer, parsed.GetRequiredValue(app));
        });
        return command;
    }

    private static string Force(bool force) => force ? "?force=true" : "";

    private static int Deployment(ParseResult parsed, JsonNode? answer, string app)
    {
        if (parsed.GetValue(RootCommands.Json)) Console.Out.WriteLine(answer?.ToJsonString() ?? "{}");
        else Console.Out.WriteLine($"{app}: deployment {Words.Text(answer?["deploymentId"] ?? answer?["deployments"]?[0]?["id"])} begun; follow it with `drover events -f`");
        return ExitCode.Done;
    }
}
