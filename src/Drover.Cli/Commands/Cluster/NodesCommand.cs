using System.CommandLine;
using System.Globalization;
using Drover.Cli.Control;
using Drover.Cli.Output;
using Spectre.Console;
using Drover.Contracts.Api;

namespace Drover.Cli.Commands.Cluster;

public static class NodesCommand
{
    public static Command Build()
    {
        var command = new Command("nodes", "The machines: attributes, resources, volumes");
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var nodes = await client.Get("/api/v1/nodes", ApiJson.Default.NodesView, cancel);
            if (parsed.GetValue(RootCommands.Json)) Screen.Json(nodes, ApiJson.Default.NodesView);
            else Screen.Write(Draw(nodes));
            return ExitCode.Done;
        });
        return command;
    }

    private static Spectre.Console.Table Draw(NodesView nodes)
    {
        var table = Screen.Table("NODE", "ADDRESS", "STATE", "ATTRIBUTES", "CPUS", "MEM MiB", "POOL FREE", "LIMIT", "TASKS", "VOLUMES");
        foreach (var node in nodes.Nodes)
            table.AddRow(Screen.Safe(node.Id), Screen.Safe(node.Address), node.Connected ? node.Drain == "Draining" ? "[yellow]draining[/]" : node.Cordoned ? "[yellow]cordoned[/]" : "[green]connected[/]" : "[red]away[/]",
                Screen.Safe(string.Join(' ', node.Attributes.Select(a => $"{a.Key}:{a.Value}"))),
                string.Create(CultureInfo.InvariantCulture, $"{node.Used.Cpus:0.##}/{node.Total.Cpus:0.##}"), string.Create(CultureInfo.InvariantCulture, $"{node.Used.Mem:0}/{node.Total.Mem:0}"),
                $"{Screen.Bytes(node.PoolFreeBytes)} of {Screen.Bytes(node.PoolTotalBytes)}", Screen.Rate(node.TransferLimit ?? 0), node.Tasks.Count.ToString(CultureInfo.InvariantCulture), Screen.Safe(string.Join(' ', node.Volumes)));
        return table;
    }
}
