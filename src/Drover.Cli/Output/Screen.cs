using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Drover.Core;
using Spectre.Console;

namespace Drover.Cli.Output;

/// <summary>Draws for people: tables with colour on a terminal, plain text into a pipe.</summary>
public static class Screen
{
    /// <summary>Width at which nothing is broken or left out: scripts cut lines, and a terminal wraps whole ones.</summary>
    public const int Unbroken = 1000;

    /// <summary>Cells of a bar, so that what is drawn anew in place fits the terminal's lines.</summary>
    public static int BarWidth => Terminal ? Math.Clamp(Console.WindowWidth - (Wide ? 90 : 58), 6, 40) : 40;

    /// <summary>Room for what is good to know and not needed at a glance.</summary>
    public static bool Wide => !Terminal || Console.WindowWidth >= 120;

    public static bool Terminal => !Console.IsOutputRedirected;

    public static Table Table(params ReadOnlySpan<string> columns)
    {
        var table = new Table().Border(TableBorder.None).Collapse();
        table.ShowHeaders = true;
        foreach (var column in columns) table.AddColumn(new TableColumn(new Markup($"[bold]{column}[/]")) { NoWrap = true, Padding = new(0, 0, 2, 0) });
        return table;
    }

    public static void Write(Table table) => AnsiConsole.Write(table);

    public static void Json<T>(T value, JsonTypeInfo<T> type) => Console.Out.WriteLine(JsonSerializer.Serialize(value, type));

    public static string Bytes(long bytes) => new ByteCount(bytes).ToString();

    public static string Rate(long bytesPerSecond) => bytesPerSecond <= 0 ? "-" : $"{new ByteCount(bytesPerSecond)}/s";

    public static string Ms(double? ms) => ms is { } value ? value >= 10_000 ? string.Create(CultureInfo.InvariantCulture, $"{value / 1000:0.0} s") : string.Create(CultureInfo.InvariantCulture, $"{value:0} ms") : "-";

    public static string Ago(DateTimeOffset at, DateTimeOffset now)
    {
        var span = now - at;
        return span switch
        {
            { TotalSeconds: < 0 } => "now",
            { TotalSeconds: < 120 } => $"{(int)span.TotalSeconds} s",
            { TotalMinutes: < 120 } => $"{(int)span.TotalMinutes} min",
            { TotalHours: < 48 } => $"{(int)span.TotalHours} h",
            _ => $"{(int)span.TotalDays} d",
        };
    }

    public static string Safe(string? text) => Markup.Escape(text ?? "-");
}
