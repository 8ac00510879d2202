using System.CommandLine;
using System.Text.Json.Nodes;
using Drover.Cli.Control;
using Drover.Cli.Output;
using Spectre.Console;

namespace Drover.Cli.Commands.Apps;

public static class AppsCommand
{
    public static Command Build()
    {
        var command = new Command("apps", "What is asked to run, and how it does");
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var apps = await client.GetJson("/v2/apps?embed=apps.tasks", cancel);
            if (parsed.GetValue(RootCommands.Json)) { Console.Out.WriteLine(apps.ToJsonString()); return ExitCode.Done; }
            var table = Screen.Table("APP", "STATUS", "INSTANCES", "HEALTHY", "ON", "IMAGE", "VERSION");
            foreach (var app in apps["apps"]?.AsArray() ?? [])
            {
                if (app is null) continue;
                table.AddRow(Screen.Safe(Words.Text(app["id"])), Status(app), $"{Words.Number(app["tasksRunning"])} of {Words.Number(app["instances"])}", app["healthChecks"] is JsonArray { Count: > 0 } ? Words.Number(app["tasksHealthy"]) : "-",
                    Screen.Safe(string.Join(' ', (app["tasks"] as JsonArray)?.Select(t => Words.Text(t?["host"])).Distinct() ?? [])),
                    Screen.Safe(Words.Text(app["container"]?["docker"]?["image"])), Screen.Safe(Words.Text(app["version"])));
            }
            Screen.Write(table);
            return ExitCode.Done;
        });
        return command;
    }

    internal static string Status(JsonNode app)
    {
        if (app["deployments"] is JsonArray { Count: > 0 }) return "[blue]deploying[/]";
        var wanted = app["instances"]?.GetValue<int>() ?? 0;
        var running = app["tasksRunning"]?.GetValue<int>() ?? 0;
        return wanted == 0 && running == 0 ? "suspended" : running >= wanted ? "[green]running[/]" : "[yellow]waiting[/]";
    }
}

/// <summary>Reads values of foreign JSON without trusting its shape.</summary>
internal static class Words
{
    public static string Text(JsonNode? node) => node is JsonValue value ? value.ToString() : "-";

    public static string Number(JsonNode? node) => node is JsonValue value ? value.ToString() : "0";
}
