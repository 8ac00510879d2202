using System.Globalization;
using Drover.Cli.Control;

namespace Drover.Cli.Commands;

/// <summary>`90s`, `30m`, `12h`, `7d`.</summary>
internal static class Span
{
    /// <summary>Null stays null: the control plane's default.</summary>
    public static long? Seconds(string? text, string option)
    {
        if (text is null) return null;
        var unit = text.Length > 0 ? text[^1] switch { 's' => 1, 'm' => 60, 'h' => 3600, 'd' => 86400, _ => 0 } : 0;
        return unit > 0 && long.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count is > 0 and < 1_000_000
            ? count * unit
            : throw new CommandFailure($"{option} '{text}': give a whole number with s, m, h or d, such as 30m or 7d", ExitCode.Usage);
    }
}
