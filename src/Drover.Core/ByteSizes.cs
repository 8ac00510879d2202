using System.Globalization;

namespace Drover.Core;

/// <summary>Reads sizes as people write them: `10GiB`, `500MB`, `1.5TiB`, or bytes.</summary>
public static class ByteSizes
{
    public const string Rule = "a size from 1MiB to 1EiB such as 10GiB or 500MB";
    private const decimal Least = 1L << 20, Most = 1L << 60;

    public static bool TryParse(string? text, out ByteCount size)
    {
        size = default;
        if (text is not { Length: > 0 and <= 32 }) return false;
        var digits = new string([.. text.TakeWhile(c => char.IsAsciiDigit(c) || c == '.')]);
        decimal? factor = text[digits.Length..].Trim().ToUpperInvariant() switch
        {
            "" or "B" => 1, "KB" => 1e3m, "MB" => 1e6m, "GB" => 1e9m, "TB" => 1e12m, "PB" => 1e15m,
            "KIB" or "K" => 1L << 10, "MIB" or "M" => 1L << 20, "GIB" or "G" => 1L << 30, "TIB" or "T" => 1L << 40, "PIB" or "P" => 1L << 50, "EIB" or "E" => 1L << 60, _ => null,
        };
        if (factor is not { } unit || digits.Length > 20 || !decimal.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value)) return false;
        if (value > Most / unit || value * unit < Least) return false;
        size = new((long)(value * unit));
        return true;
    }
}
