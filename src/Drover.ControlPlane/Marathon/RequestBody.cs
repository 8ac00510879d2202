using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Features;

namespace Drover.ControlPlane.Marathon;

/// <summary>Reads a request's body whole, whatever its content type says (curl's default is a form's), up to a limit.</summary>
public static class RequestBody
{
    public const int MaxBytes = 1024 * 1024;
    private static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);

    /// <summary>The JSON text as parsed, or why there is none.</summary>
    /// <param name="Fault">null: <paramref name="Json"/> is there.</param>
    public sealed record Reading(JsonDocument? Json, BodyFault? Fault, string Details) : IDisposable
    {
        public void Dispose() => Json?.Dispose();
    }

    /// <param name="wanted">What the body must be: an object, or a list.</param>
    public static async Task<Reading> Read(HttpContext context, JsonValueKind wanted = JsonValueKind.Object)
    {
        var limit = context.Features.Get<IHttpMaxRequestBodySizeFeature>();
        if (limit is { IsReadOnly: false }) limit.MaxRequestBodySize = MaxBytes;
        var bytes = new MemoryStream();
        try
        {
            var buffer = new byte[16 * 1024];
            int n;
            while ((n = await context.Request.Body.ReadAsync(buffer, context.RequestAborted)) > 0)
            {
                if (bytes.Length + n > MaxBytes) return TooLarge();
                bytes.Write(buffer, 0, n);
            }
        }
        catch (BadHttpRequestException fault)
        {
            return fault.StatusCode == StatusCodes.Status413PayloadTooLarge ? TooLarge() : new(null, BodyFault.Broken, fault.Message);
        }
        return Parse(bytes.GetBuffer().AsMemory(0, (int)bytes.Length), wanted);
    }

    private static Reading Parse(ReadOnlyMemory<byte> bytes, JsonValueKind wanted)
    {
        if (bytes.Span.StartsWith(Encoding.UTF8.Preamble)) bytes = bytes[Encoding.UTF8.Preamble.Length..];
        try
        {
            var text = Strict.GetString(bytes.Span);
            var json = JsonDocument.Parse(text);
            // Looking a field up by its name compares it with every name there is: one that is no text would end that.
            if (text.Contains("\\ud", StringComparison.OrdinalIgnoreCase) && !NamesAreText(json.RootElement))
            {
                json.Dispose();
                return new(null, BodyFault.Broken, "a field's name in the body is no Unicode text: it has half of a surrogate pair");
            }
            if (json.RootElement.ValueKind == wanted) return new(json, null, "");
            var described = JsonFields.Described(json.RootElement);
            json.Dispose();
            var example = wanted == JsonValueKind.Array ? "list, such as [{\"id\": \"mongo\", …}]" : "object, such as {\"id\": \"mongo\", …}";
            return new(null, BodyFault.NotAnObject, $"the body must be a JSON {example}; it was {described}");
        }
        catch (JsonException fault)
        {
            return new(null, BodyFault.Broken, bytes.IsEmpty ? "the body is empty; send JSON" : Place(fault));
        }
        catch (DecoderFallbackException)
        {
            return new(null, BodyFault.Broken, "the body is not UTF-8; save the file in that encoding");
        }
    }

    private static bool NamesAreText(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => element.EnumerateObject().All(field => JsonFields.TextOf(field) is not null && NamesAreText(field.Value)),
        JsonValueKind.Array => element.EnumerateArray().All(NamesAreText),
        _ => true,
    };

    /// <summary>Lines and columns as editors count them; the parser counts from 0, columns in bytes.</summary>
    private static string Place(JsonException fault)
    {
        var reason = fault.Message.Split(" LineNumber:")[0];
        return $"line {fault.LineNumber + 1}, column {fault.BytePositionInLine + 1}: {reason} Look there for a missing or surplus quote, comma or bracket";
    }

    private static Reading TooLarge() => new(null, BodyFault.TooLarge, $"the body is larger than {MaxBytes} bytes; send less");
}

public enum BodyFault { Broken, NotAnObject, TooLarge }
