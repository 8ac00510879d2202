using System.CommandLine;
using Drover.Cli.Control;

namespace Drover.Cli.Commands.Apps;

public static class LogsCommand
{
    public static Command Build()
    {
        var app = AppCommands.AppArgument();
        var follow = new Option<bool>("--follow", "-f") { Description = "Go on as it comes" };
        var tail = new Option<int>("--tail") { Description = "Only this many lines from the end", DefaultValueFactory = _ => 200, HelpName = "LINES" };
        var task = new Option<string?>("--task") { Description = "One task; else the newest", HelpName = "ID" };
        var command = new Command("logs", "What an app wrote to its output, from wherever it runs") { app, follow, tail, task };
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var path = string.Join('/', parsed.GetRequiredValue(app).Trim('/').Split('/').Select(Uri.EscapeDataString));
            var one = parsed.GetValue(task) is { } id ? $"&task={Uri.EscapeDataString(id)}" : "";
            await using var output = Console.OpenStandardOutput();
            await client.CopyTo($"/api/v1/apps/{path}/logs?follow={(parsed.GetValue(follow) ? "true" : "false")}&tail={parsed.GetValue(tail)}{one}", output, cancel);
            return ExitCode.Done;
        });
        return command;
    }
}
