using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Drover.ControlPlane.Marathon;

/// <summary>JSON made by hand, in one line.</summary>
public static class MarathonJson
{
    // Bodies are never put into HTML; quotes in messages stay readable in a terminal.
    public static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Object(Action<Utf8JsonWriter> fields) => Text(json =>
    {
        json.WriteStartObject();
        fields(json);
        json.WriteEndObject();
    });

    /// <summary>An object as UTF-8.</summary>
    public static ReadOnlyMemory<byte> Bytes(Action<Utf8JsonWriter> fields)
    {
        var buffer = new System.Buffers.ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, Options))
        {
            json.WriteStartObject();
            fields(json);
            json.WriteEndObject();
        }
        return buffer.WrittenMemory;
    }

    public static string Text(Action<Utf8JsonWriter> write)
    {
        var buffer = new System.Buffers.ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, Options)) write(json);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
