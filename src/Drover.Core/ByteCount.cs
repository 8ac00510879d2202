using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Drover.Core;

/// <summary>An amount of data in bytes. Printed in binary units: `1.4 GiB`.</summary>
[JsonConverter(typeof(ByteCountConverter))]
public readonly record struct ByteCount(long Bytes) : IComparable<ByteCount>
{
    public static readonly ByteCount Zero = new(0);
    public static ByteCount MiB(double mebibytes) => new((long)(mebibytes * 1024 * 1024));
    public static ByteCount GiB(double gibibytes) => new((long)(gibibytes * 1024 * 1024 * 1024));
    public int CompareTo(ByteCount other) => Bytes.CompareTo(other.Bytes);
    public static ByteCount operator +(ByteCount a, ByteCount b) => new(a.Bytes + b.Bytes);
    public static ByteCount operator -(ByteCount a, ByteCount b) => new(a.Bytes - b.Bytes);
    public static bool operator <(ByteCount a, ByteCount b) => a.Bytes < b.Bytes;
    public static bool operator >(ByteCount a, ByteCount b) => a.Bytes > b.Bytes;
    public static bool operator <=(ByteCount a, ByteCount b) => a.Bytes <= b.Bytes;
    public static bool operator >=(ByteCount a, ByteCount b) => a.Bytes >= b.Bytes;

    public override string ToString()
    {
        string[] units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
        double value = Bytes;
        var unit = 0;
        while (Math.Abs(value) >= 1024 && unit < units.Length - 1) { value /= 1024; unit++; }
        return string.Create(CultureInfo.InvariantCulture, $"{(unit == 0 ? value : Math.Round(value, 1))} {units[unit]}");
    }
}

public sealed class ByteCountConverter : JsonConverter<ByteCount>
{
    public override ByteCount Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => new(reader.GetInt64());
    public override void Write(Utf8JsonWriter writer, ByteCount value, JsonSerializerOptions options) => writer.WriteNumberValue(value.Bytes);
}
