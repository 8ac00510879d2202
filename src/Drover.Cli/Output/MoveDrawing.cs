using System.Globalization;
using Drover.Contracts.Api;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Drover.Cli.Output;

/// <summary>A move as people see it: rounds as bars, then the waterfall of the cutover. Pure: from the API's view to lines.</summary>
public static class MoveDrawing
{
    private static int BarWidth => Screen.BarWidth;

    public static IRenderable Draw(MoveView move)
    {
        var rows = new List<IRenderable> { new Markup(Headline(move)) };
        if (move.Rounds.Count > 0 || move.Progress is not null) rows.Add(Rounds(move));
        if (move.Progress is { } progress && move.EndedAt is null) rows.Add(new Markup(Now(progress)));
        if (Restraint(move) is { } restraint) rows.Add(new Markup($"[dim]{Screen.Safe(restraint)}[/]"));
        if (move.WaitsFor is { } waits) rows.Add(new Markup($"[yellow]waits for {Screen.Safe(waits)}[/]"));
        if (move.Waterfall is { Spans.Count: > 0 } waterfall) rows.Add(Waterfall(waterfall));
        if (move.Failure is { } failure) rows.Add(new Markup($"[red]{Screen.Safe(failure)}[/]"));
        if (move.EndedAt is not null) rows.Add(new Markup(Summary(move)));
        return new Rows(rows);
    }

    private static string Headline(MoveView move) =>
        $"[bold]{Screen.Safe(move.App)}[/]  {Screen.Safe(move.From)} → {Screen.Safe(move.To)}  " +
        $"{Screen.Bytes(move.VolumeBytes)}{(move.Incremental ? ", only the difference" : "")}  [{Colour(move.State)}]{move.State}[/]  [dim]{move.Id}[/]";

    private static string? Restraint(MoveView move)
    {
        var parts = new List<string>();
        if (move.Policy?.Quiesce == "freeze") parts.Add("frozen, not stopped: crash-consistent");
        if (move.PreStop is { } command) parts.Add($"preStop {command}");
        if (move.Throttled > 0) parts.Add($"slowed down by half, {move.Throttled} times");
        if (move.CutAsked) parts.Add("cut asked for");
        return parts.Count == 0 ? null : string.Join("; ", parts);
    }

    private static Table Rounds(MoveView move)
    {
        string[] columns = Screen.Wide ? ["round", "", "bytes", "rate", "app writes", "took", "predicted delta", "predicted stop"] : ["round", "", "bytes", "rate", "took", "predicted stop"];
        var table = Screen.Table(columns);
        var most = Math.Max(1, move.Rounds.Select(r => r.Bytes).Append(move.Progress is { } p ? Math.Max(p.Bytes, p.BytesExpected) : 0).Max());
        foreach (var round in move.Rounds)
        {
            var rate = Screen.Rate(round.SendMs > 0 ? (long)(round.Bytes / round.SendMs * 1000) : 0);
            Row(table, round.Final ? "final" : round.Number.ToString(CultureInfo.InvariantCulture), $"[green]{Bar(round.Bytes, most)}[/]", round.Bytes, rate,
                Screen.Rate((long)(round.DirtyBytesPerSecond ?? 0)), Screen.Ms(round.Ms), round.PredictedDeltaBytes is { } delta ? Screen.Bytes(delta) : "-", round.PredictedStopMs);
        }
        if (move.Progress is { } now && move.EndedAt is null && move.Rounds.All(r => r.Number != now.Round))
            Row(table, now.Round.ToString(CultureInfo.InvariantCulture), $"[blue]{Bar(now.Bytes, most)}[/]", now.Bytes, Screen.Rate(now.BytesPerSecond), "", Left(now), "", now.PredictedStopMs);
        return table;
    }

    private static void Row(Table table, string number, string bar, long bytes, string rate, string writes, string took, string delta, double? stop)
    {
        if (Screen.Wide) table.AddRow(number, bar, Screen.Bytes(bytes), rate, writes, took, delta, Screen.Ms(stop));
        else table.AddRow(number, bar, Screen.Bytes(bytes), rate, took, Screen.Ms(stop));
    }

    private static string Now(ProgressView progress) =>
        $"[blue]{Screen.Safe(progress.Doing)}[/]  {Screen.Bytes(progress.Bytes)}{(progress.BytesExpected > 0 ? $" of about {Screen.Bytes(progress.BytesExpected)}" : "")}" +
        $"  {Screen.Rate(progress.BytesPerSecond)}  {Left(progress)}{(progress.PredictedStopMs is { } stop ? $"  predicted stop {Screen.Ms(stop)}" : "")}";

    private static string Left(ProgressView progress) => progress.SecondsLeft is { } left ? string.Create(CultureInfo.InvariantCulture, $"{left:0} s left") : "";

    private static Table Waterfall(WaterfallView waterfall)
    {
        var table = Screen.Table("cutover", "where", "at", "took", "");
        var whole = Math.Max(1, waterfall.Spans.Max(s => s.StartMs + s.Ms));
        foreach (var span in waterfall.Spans)
            table.AddRow(Screen.Safe(span.Name), Screen.Safe(span.Node), Screen.Ms(span.StartMs), Screen.Ms(span.Ms),
                $"[{(span.Name is "app stop" or "start" or "first answer" ? "dim" : "green")}]{Offset(span.StartMs, span.Ms, whole)}[/]");
        return table;
    }

    private static string Summary(MoveView move) => move.Waterfall is { CutoverMs: not null } w
        ? $"[bold]stop to serving {Screen.Ms(w.CutoverMs)}[/]: app stop {Screen.Ms(w.AppStopMs)}, app start {Screen.Ms(w.AppStartMs)}, [bold]added {Screen.Ms(w.AddedCutoverMs)}[/]  sent {Screen.Bytes(move.BytesSent)}"
        : $"[bold]{move.State}[/]  sent {Screen.Bytes(move.BytesSent)}";

    private static string Bar(long bytes, long most)
    {
        var cells = (int)Math.Round((double)bytes / most * BarWidth);
        return (bytes > 0 && cells == 0 ? "▏" : new string('█', cells)).PadRight(BarWidth);
    }

    private static string Offset(double start, double length, double whole)
    {
        var from = (int)(start / whole * BarWidth);
        var cells = Math.Max(1, (int)Math.Round(length / whole * BarWidth));
        return new string(' ', Math.Min(from, BarWidth - 1)) + new string('█', Math.Min(cells, BarWidth - Math.Min(from, BarWidth - 1)));
    }

    private static string Colour(string state) => state switch { "Done" => "green", "Unwinding" or "Undone" => "red", _ => "blue" };
}
