using System.CommandLine;
using Drover.Cli.Control;
using Drover.Cli.Output;
using Drover.Contracts.Api;
using Spectre.Console;

namespace Drover.Cli.Commands.Cluster;

public static class StatusCommand
{
    public static Command Build()
    {
        var command = new Command("status", "What the cluster does, and what waits for what");
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var status = await client.Get("/api/v1/status", ApiJson.Default.StatusView, cancel);
            if (parsed.GetValue(RootCommands.Json)) Screen.Json(status, ApiJson.Default.StatusView);
            else Draw(status, client.Control);
            return ExitCode.Done;
        });
        return command;
    }

    private static void Draw(StatusView status, Uri control)
    {
        AnsiConsole.MarkupLine($"[bold]{Screen.Safe(status.Name)}[/] {Screen.Safe(status.Version)} at {Screen.Safe(control.ToString())}, {Screen.Bytes(status.MemoryBytes)} in memory");
        AnsiConsole.MarkupLine($"nodes {status.NodesConnected} of {status.Nodes} connected   apps {status.Apps}   instances {status.InstancesServing} of {status.Instances} serving   volumes {status.Volumes}   moves under way {status.OpenMoves}");
        foreach (var waiting in status.Waiting)
        {
            AnsiConsole.MarkupLine($"[yellow]{Screen.Safe(waiting.What)} {Screen.Safe(waiting.Id)}[/] waits for {Screen.Safe(waiting.WaitsFor)}");
            foreach (var node in waiting.Nodes) AnsiConsole.MarkupLine($"  {Screen.Safe(node.Node)}: {Screen.Safe(node.Reason)}");
        }
    }
}
