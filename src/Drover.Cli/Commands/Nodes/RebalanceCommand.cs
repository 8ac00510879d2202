using System.CommandLine;
using System.Globalization;
using Drover.Cli.Control;
using Drover.Cli.Output;
using Drover.Contracts.Api;
using Spectre.Console;

namespace Drover.Cli.Commands.Nodes;

/// <summary>`drover rebalance --dry-run|--apply`</summary>
public static class RebalanceCommand
{
    public static Command Build()
    {
        var dryRun = new Option<bool>("--dry-run") { Description = "Show the plan, do nothing" };
        var apply = new Option<bool>("--apply") { Description = "Begin the plan's moves" };
        var command = new Command("rebalance", "Spread memory and data over the nodes, by gain for each byte moved") { dryRun, apply };
        command.SetAction(async (parsed, cancel) =>
        {
            if (parsed.GetValue(dryRun) == parsed.GetValue(apply)) throw new CommandFailure("say what to do: either --dry-run or --apply", ExitCode.Usage);
            using var client = RootCommands.Connect(parsed);
            var plan = await client.Post("/api/v1/rebalance", new RebalanceRequest(parsed.GetValue(apply)), ApiJson.Default.RebalanceRequest, ApiJson.Default.RebalanceView, cancel);
            if (parsed.GetValue(RootCommands.Json)) Screen.Json(plan, ApiJson.Default.RebalanceView);
            else Write(plan);
            return ExitCode.Done;
        });
        return command;
    }

    private static void Write(RebalanceView plan)
    {
        if (plan.Moves.Count == 0)
        {
            Console.Out.WriteLine("nothing to gain: no app's move would spread memory or data better");
            return;
        }
        var table = Screen.Table("APP", "FROM", "TO", "DATA", "GAIN");
        foreach (var move in plan.Moves)
            table.AddRow(Screen.Safe(move.App), Screen.Safe(move.From), Screen.Safe(move.To), Screen.Bytes(move.Bytes), move.Gain.ToString("0.###", CultureInfo.InvariantCulture));
        Screen.Write(table);
        Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"fullest node {plan.PeakBefore:P0} → {plan.PeakAfter:P0}; {(plan.Applied ? "the moves are begun, follow them with: drover moves" : "a plan: nothing was done")}"));
    }
}
