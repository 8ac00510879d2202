using System.CommandLine;
using Drover.Cli.Control;
using Drover.Cli.Output;
using Drover.Contracts.Api;

namespace Drover.Cli.Commands.Nodes;

/// <summary>`drover node token` and `drover node revoke NODE`: who belongs to the cluster.</summary>
internal static class NodeMembership
{
    public static Command Token()
    {
        var name = new Option<string?>("--name") { Description = "The only node that may use it; needed to replace a node that is there (default: any name that is free)", HelpName = "NAME" };
        var ttl = new Option<string?>("--ttl") { Description = "How long it may wait for its use (default: 1h)", HelpName = "30m" };
        var command = new Command("token", "Print one string that lets one machine join, once: `drover-agent join TOKEN`") { name, ttl };
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var made = await client.Post("/api/v1/nodes/tokens", new JoinTokenRequest(parsed.GetValue(name), Span.Seconds(parsed.GetValue(ttl), "--ttl")),
                TrustApiJson.Default.JoinTokenRequest, TrustApiJson.Default.JoinTokenView, cancel);
            // Alone on its line and on standard output, so that it can be piped to `drover-agent join -`.
            if (parsed.GetValue(RootCommands.Json)) Screen.Json(made, TrustApiJson.Default.JoinTokenView);
            else Console.Out.WriteLine(made.Token);
            return ExitCode.Done;
        });
        return command;
    }

    public static Command Revoke()
    {
        var name = new Argument<string>("node") { Description = "The node's name" };
        var command = new Command("revoke", "No certificate of this node is good any more: its stream is closed, its peers refuse it") { name };
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var node = parsed.GetValue(name)!;
            var revoked = await client.Post($"/api/v1/nodes/{Uri.EscapeDataString(node)}/revoke", new FinishRequest(null), TrustApiJson.Default.FinishRequest, TrustApiJson.Default.NodeRevokedView, cancel);
            if (parsed.GetValue(RootCommands.Json)) Screen.Json(revoked, TrustApiJson.Default.NodeRevokedView);
            else Console.Out.WriteLine($"{node} is revoked. To let it in again: drover node token --name {node}");
            return ExitCode.Done;
        });
        return command;
    }

    public static Command Remove()
    {
        var name = new Argument<string>("node") { Description = "The node's id, from `drover nodes`" };
        var accept = new Option<bool>("--accept-loss") { Description = "Also forget snapshots, forks and deleted volumes that only it has" };
        var command = new Command("remove", "Retire a node that is away for good: refused while it has the only copy of anything") { name, accept };
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var path = $"/api/v1/nodes/{Uri.EscapeDataString(parsed.GetRequiredValue(name))}{(parsed.GetValue(accept) ? "?acceptLoss=true" : "")}";
            var removed = System.Text.Json.JsonSerializer.Deserialize(await client.Text(HttpMethod.Delete, path, null, cancel), TrustApiJson.Default.NodeRemovedView)!;
            if (parsed.GetValue(RootCommands.Json)) { Screen.Json(removed, TrustApiJson.Default.NodeRemovedView); return ExitCode.Done; }
            Console.Out.WriteLine($"{removed.Node} is no node of the cluster any more, and its certificates are revoked");
            foreach (var forgotten in removed.Forgotten) Console.Out.WriteLine($"forgotten: {forgotten}");
            return ExitCode.Done;
        });
        return command;
    }
}
