using System.CommandLine;
using System.Globalization;
using Drover.Cli.Control;
using Drover.Cli.Output;
using Spectre.Console;
using Drover.Contracts.Api;

namespace Drover.Cli.Commands.Moves;

public static class MovesCommand
{
    public static Command Build()
    {
        var command = new Command("moves", "Moves under way and past ones, newest last");
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var moves = await client.Get("/api/v1/moves", ApiJson.Default.MovesView, cancel);
            if (parsed.GetValue(RootCommands.Json)) { Screen.Json(moves, ApiJson.Default.MovesView); return ExitCode.Done; }
            var table = Screen.Table("MOVE", "APP", "TRIGGER", "FROM", "TO", "STATE", "ROUNDS", "SENT", "CUTOVER", "ADDED", "AGO");
            var now = TimeProvider.System.GetUtcNow();
            foreach (var move in moves.Moves.OrderBy(m => m.RequestedAt))
                table.AddRow(Screen.Safe(move.Id), Screen.Safe(move.App), Screen.Safe(move.Trigger), Screen.Safe(move.From), Screen.Safe(move.To), Screen.Safe(move.State),
                    move.Rounds.Count.ToString(CultureInfo.InvariantCulture), Screen.Bytes(move.BytesSent), Screen.Ms(move.Waterfall?.CutoverMs), Screen.Ms(move.Waterfall?.AddedCutoverMs),
                    Screen.Ago(move.RequestedAt, now));
            Screen.Write(table);
            return ExitCode.Done;
        });
        return command;
    }
}
