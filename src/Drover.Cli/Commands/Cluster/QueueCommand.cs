using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Drover.Cli.Commands.Apps;
using Drover.Cli.Control;
using Drover.Cli.Output;
using Spectre.Console;

namespace Drover.Cli.Commands.Cluster;

/// <summary>/v2/queue for people: what waits, for what, and what each node lacks.</summary>
public static class QueueCommand
{
    public static Command Build()
    {
        var command = new Command("queue", "What waits, for what, and why each node does not take it");
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var queue = await client.GetJson("/v2/queue", cancel);
            if (parsed.GetValue(RootCommands.Json)) Console.Out.WriteLine(queue.ToJsonString());
            else Draw(queue);
            return ExitCode.Done;
        });
        return command;
    }

    private static void Draw(JsonNode queue)
    {
        var waiting = Items(queue["waiting"]).ToList();
        if (waiting.Count == 0)
        {
            Console.Out.WriteLine("nothing waits");
            return;
        }
        var table = Screen.Table("WHAT", "APP", "ON", "KIND", "WAITS FOR", "LEFT");
        foreach (var one in waiting)
            table.AddRow(Screen.Safe(Words.Text(one["what"])), Screen.Safe(Words.Text(one["app"])), Screen.Safe(Words.Text(one["node"])), Screen.Safe(Words.Text(one["kind"])), Screen.Safe(Words.Text(one["text"])), Left(one["timeLeftSeconds"]));
        Screen.Write(table);
        if (queue["waitingTotal"] is JsonValue total && total.TryGetValue<int>(out var all) && all > waiting.Count) Console.Out.WriteLine($"and {all - waiting.Count} more");
        foreach (var app in Items(queue["queue"])) Nodes(app);
    }

    private static void Nodes(JsonNode app)
    {
        var nodes = Items(app["reasons"]).SelectMany(r => Items(r["nodes"])).ToList();
        if (nodes.Count == 0) return;
        AnsiConsole.MarkupLine($"[yellow]{Screen.Safe(Words.Text(app["app"]?["id"]))}[/] ({Screen.Safe(Words.Number(app["count"]))} without a place)");
        foreach (var node in nodes) AnsiConsole.MarkupLine($"  {Screen.Safe(Words.Text(node["node"]))}: {Screen.Safe(string.Join(", ", Items(node["reasons"]).Select(Words.Text)))}");
    }

    private static IEnumerable<JsonNode> Items(JsonNode? array) => (array as JsonArray)?.OfType<JsonNode>() ?? [];

    private static string Left(JsonNode? seconds) => seconds is JsonValue value && value.TryGetValue<long>(out var left) ? string.Create(CultureInfo.InvariantCulture, $"{left} s") : "-";
}
