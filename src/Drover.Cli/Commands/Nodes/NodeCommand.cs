using System.CommandLine;
using System.Text.Json;
using Drover.Cli.Control;
using Drover.Cli.Output;
using Drover.Contracts.Api;

namespace Drover.Cli.Commands.Nodes;

/// <summary>`drover node cordon|uncordon|drain NODE`</summary>
public static class NodeCommand
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    public static Command Build() => new("node", "What is done to one machine")
    {
        Cordon("cordon", "Keeps what it runs, takes nothing new", node => $"node {node.Id} keeps what it runs and takes nothing new"),
        Cordon("uncordon", "Takes apps again", node => $"node {node.Id} takes apps again"),
        Drain(),
        Limit(),
        NodeMembership.Token(),
        NodeMembership.Revoke(),
        NodeMembership.Remove(),
    };

    private static Command Cordon(string verb, string description, Func<NodeView, string> said)
    {
        var name = new Argument<string>("node") { Description = "The node's id, from `drover nodes`" };
        var command = new Command(verb, description) { name };
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var node = JsonSerializer.Deserialize(await client.Text(HttpMethod.Post, $"{Path(parsed.GetRequiredValue(name))}/{verb}", null, cancel), ApiJson.Default.NodeView)!;
            if (parsed.GetValue(RootCommands.Json)) Screen.Json(node, ApiJson.Default.NodeView);
            else Console.Out.WriteLine(said(node));
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Limit()
    {
        var name = new Argument<string>("node") { Description = "The node's id, from `drover nodes`" };
        var rate = new Argument<string>("rate") { Description = "What all transfers out of it may take together, such as 50MB/s; none: as its agent was started" };
        var command = new Command("limit", "Spare a node's network: final rounds, for which an app stands still, are exempt") { name, rate };
        command.SetAction(async (parsed, cancel) =>
        {
            var given = parsed.GetRequiredValue(rate);
            var bytes = given == "none" ? 0 : Moves.MoveCommand.Rate(given, "rate");
            using var client = RootCommands.Connect(parsed);
            var node = JsonSerializer.Deserialize(await client.Text(HttpMethod.Put, $"{Path(parsed.GetRequiredValue(name))}/limit", $$"""{"bytesPerSecond": {{bytes}}}""", cancel), ApiJson.Default.NodeView)!;
            if (parsed.GetValue(RootCommands.Json)) Screen.Json(node, ApiJson.Default.NodeView);
            else Console.Out.WriteLine(node.TransferLimit is { } most ? $"transfers out of {node.Id} take {Screen.Rate(most)} at most" : $"transfers out of {node.Id} have no limit but their agent's own");
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Drain()
    {
        var name = new Argument<string>("node") { Description = "The node's id, from `drover nodes`" };
        var limit = new Option<int>("--limit") { Description = "Moves at once (default 4)", HelpName = "N" };
        var dryRun = new Option<bool>("--dry-run") { Description = "Show what would go where, do nothing" };
        var stop = new Option<bool>("--stop") { Description = "Begin no further moves; the node stays cordoned" };
        var detach = new Option<bool>("--detach", "-d") { Description = "Begin the drain and return" };
        var command = new Command("drain", "Cordon a node and move all its apps elsewhere, several at once") { name, limit, dryRun, stop, detach };
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var path = Path(parsed.GetRequiredValue(name)) + "/drain";
            var (json, once) = (parsed.GetValue(RootCommands.Json), parsed.GetValue(stop) || parsed.GetValue(dryRun) || parsed.GetValue(detach));
            var drain = parsed.GetValue(stop)
                ? JsonSerializer.Deserialize(await client.Text(HttpMethod.Post, path + "/stop", null, cancel), ApiJson.Default.DrainView)!
                : await client.Post(path, new DrainRequest(parsed.GetValue(limit), parsed.GetValue(dryRun)), ApiJson.Default.DrainRequest, ApiJson.Default.DrainView, cancel);
            if (!once) drain = await Follow(client, path, drain, !json, cancel);
            if (json) Screen.Json(drain, ApiJson.Default.DrainView);
            else Write(drain);
            return drain.State == "Stopped" && !parsed.GetValue(stop) ? ExitCode.Failed : ExitCode.Done;
        });
        return command;
    }

    /// <summary>Says each change in one line, over restarts of the control plane, until the drain has ended.</summary>
    private static async Task<DrainView> Follow(ControlClient client, string path, DrainView drain, bool tell, CancellationToken cancel)
    {
        string? said = null;
        while (true)
        {
            var line = DrainDrawing.Line(drain);
            if (tell && line != said) Console.Out.WriteLine(said = line);
            if (drain.State != "Draining") return drain;
            await Task.Delay(Pause, TimeProvider.System, cancel);
            try { drain = await client.Get(path, ApiJson.Default.DrainView, cancel); }
            catch (CommandFailure failure) when (failure.ExitCode == ExitCode.Unreachable) { continue; /* it restarts: the drain goes on, so do we */ }
        }
    }

    private static void Write(DrainView drain)
    {
        if (drain.Apps.Count > 0) Screen.Write(DrainDrawing.Draw(drain));
        foreach (var stays in drain.Stays) Console.Out.WriteLine($"stays: {stays}");
        Console.Out.WriteLine(DrainDrawing.Line(drain));
    }

    private static string Path(string node) => $"/api/v1/nodes/{Uri.EscapeDataString(node)}";
}
