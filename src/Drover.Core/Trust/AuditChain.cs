using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Drover.Core.Trust;

/// <summary>One line of the audit log.</summary>
/// <param name="Who">Name of the API token or node; `anonymous` where the door asks for none.</param>
/// <param name="Role">What it acted as: `admin`, `node`, `stranger`…</param>
/// <param name="From">Address it came from.</param>
/// <param name="What">`POST /v2/apps`, `node join`, `identity refused`…</param>
/// <param name="Outcome">`done`, `refused`, or an HTTP status.</param>
/// <param name="Previous">Hash of the line before; of the first one: zeros.</param>
public sealed record AuditEntry(
    long Sequence, DateTimeOffset At, string Who, string Role, string From, string What, string Outcome, string Detail, [property: JsonPropertyName("prev")] string Previous);

/// <param name="Count">Lines there must be.</param>
/// <param name="Hash">Of the last.</param>
public sealed record AuditHead(long Count, string Hash)
{
    public static readonly AuditHead Empty = new(0, new string('0', 64));
}

/// <param name="Fault">Null: every line is as it was written.</param>
/// <param name="Line">Of the log, from 1, where the fault shows.</param>
/// <param name="File">Where that is, and which line there; null: not asked of files, or no fault.</param>
public sealed record AuditVerdict(long Lines, string Head, string? Fault, long Line, string? File = null, long LineOfFile = 0);

/// <summary>The chain of the audit log: each line ends with the SHA-256 of itself, and begins what it says with the one of the line before.</summary>
public static class AuditChain
{
    private const string Mark = ",\"hash\":\"";
    private const int HashLength = 64;

    /// <summary>The line, without its end, and the head after it.</summary>
    public static (string Line, AuditHead Head) Write(AuditEntry entry)
    {
        var body = JsonSerializer.Serialize(entry, AuditJson.Default.AuditEntry)[..^1];
        var hash = Hash(body);
        return ($"{body}{Mark}{hash}\"}}", new(entry.Sequence, hash));
    }

    /// <param name="line">As in the file, without its end.</param>
    /// <returns>Null: no line of this log, or its bytes are not those that were written.</returns>
    public static (AuditEntry Entry, string Hash)? Read(string line)
    {
        var at = line.Length - Mark.Length - HashLength - 2;
        if (at <= 0 || !line.EndsWith("\"}", StringComparison.Ordinal) || line.AsSpan(at, Mark.Length) is not Mark) return null;
        var (body, hash) = (line[..at], line.Substring(at + Mark.Length, HashLength));
        if (Hash(body) != hash) return null;
        try { return JsonSerializer.Deserialize(body + "}", AuditJson.Default.AuditEntry) is { } entry ? (entry, hash) : null; }
        catch (JsonException) { return null; }
    }

    /// <summary>Reads the whole log and names the first line that is not as it was written.</summary>
    /// <param name="head">What the store remembers of its end; null: not known, and a tail that was cut off cannot be seen.</param>
    public static AuditVerdict Verify(IEnumerable<string> lines, AuditHead? head)
    {
        var (count, hash) = AuditHead.Empty;
        foreach (var line in lines)
        {
            var number = count + 1;
            if (Read(line) is not var (entry, own)) return new(count, hash, "was changed, or cut short: its hash is not that of its content", number);
            if (entry.Sequence > number) return new(count, hash, Words($"is entry {entry.Sequence}, expected was {number}: {entry.Sequence - number} before it were removed, or moved to a later place"), number);
            if (entry.Sequence < number) return new(count, hash, Words($"is entry {entry.Sequence}, expected was {number}: it was moved or repeated"), number);
            if (entry.Previous != hash) return new(count, hash, "does not follow from the line before: that one was written anew", number);
            if (head?.Count == number && head.Hash != own) return new(count, hash, "is not the one that the control plane remembers: the log was written anew", number);
            (count, hash) = (number, own);
        }
        return head is { } known && known.Count > count
            ? new(count, hash, Words($"is missing: the control plane remembers {known.Count} entries, {known.Count - count} were cut off the end"), count + 1)
            : new(count, hash, null, 0);
    }

    private static string Words(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(AuditEntry))]
[JsonSerializable(typeof(AuditHead))]
public sealed partial class AuditJson : JsonSerializerContext;
