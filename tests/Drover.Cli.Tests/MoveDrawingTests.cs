using Drover.Cli.Output;
using Drover.Contracts.Api;
using Spectre.Console;
using Xunit;

namespace Drover.Cli.Tests;

public sealed class MoveDrawingTests
{
    private static readonly DateTimeOffset At = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    private static MoveView Move(string state, ProgressView? progress, WaterfallView? waterfall, string? failure) => new(
        "m1", "/mongo", "move", state, "node1", "node2", ["mongodata"], 1L << 30, false, At, waterfall is null && failure is null ? null : At.AddSeconds(9), [],
        [new(1, false, 1L << 30, 5000, 10, 4900, 90, 120), new(2, false, 8 << 20, 80, 10, 60, 10, 60)], progress, waterfall, (1L << 30) + (8 << 20), null, failure);

    private static string Text(MoveView move)
    {
        var writer = new StringWriter();
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, ColorSystem = ColorSystemSupport.NoColors, Out = new AnsiConsoleOutput(writer) });
        console.Profile.Width = 160;
        console.Write(MoveDrawing.Draw(move));
        return writer.ToString();
    }

    [Fact]
    public void A_move_under_way_shows_rounds_rate_time_left_and_the_predicted_stop()
    {
        var text = Text(Move("Seeding", new(3, "sending mongodata", 4 << 20, 8 << 20, 100 << 20, 1.4, 75), null, null));
        Assert.Contains("/mongo  node1 → node2  1 GiB", text, StringComparison.Ordinal);
        Assert.Contains("sending mongodata  4 MiB of about 8 MiB  100 MiB/s  1 s left  predicted stop 75 ms", text, StringComparison.Ordinal);
        Assert.Matches(@"1 +█{40} +1 GiB", text);
    }

    [Fact]
    public void A_move_done_shows_the_waterfall_and_what_was_added()
    {
        var text = Text(Move("Done", null, new([new("app stop", "node1", 0, 200), new("snapshot", "node1", 200, 20), new("start", "node2", 260, 300)], 200, 300, 560, 60), null));
        Assert.Contains("stop to serving 560 ms: app stop 200 ms, app start 300 ms, added 60 ms", text, StringComparison.Ordinal);
        Assert.Matches(@"snapshot +node1 +200 ms +20 ms", text);
    }

    [Fact]
    public void A_move_undone_says_why_and_brackets_in_messages_are_harmless() =>
        Assert.Contains("pool [full]: free space", Text(Move("Undone", null, null, "pool [full]: free space")), StringComparison.Ordinal);
}
