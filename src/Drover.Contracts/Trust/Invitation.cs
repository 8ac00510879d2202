using System.Buffers.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Drover.Contracts.Trust;

/// <summary>What a join token says: `drover1.` and this as JSON in base64url.</summary>
/// <param name="Addresses">Where the control plane listens for agents, to be tried in order.</param>
/// <param name="Pins">SHA-256 (hex) of the public keys of the authorities that may have signed its certificate.</param>
/// <param name="Secret">Good once.</param>
/// <param name="Node">The only name it is good for; null: any that is free.</param>
public sealed record Invitation(
    [property: JsonPropertyName("a")] IReadOnlyList<string> Addresses, [property: JsonPropertyName("p")] IReadOnlyList<string> Pins,
    [property: JsonPropertyName("s")] string Secret, [property: JsonPropertyName("n")] string? Node)
{
    private const string Prefix = "drover1.";

    public override string ToString() => Prefix + Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(this, InvitationJson.Default.Invitation));

    /// <summary>Null: this is no join token.</summary>
    public static Invitation? Parse(string text)
    {
        if (!text.StartsWith(Prefix, StringComparison.Ordinal)) return null;
        try
        {
            var read = JsonSerializer.Deserialize(Base64Url.DecodeFromChars(text.AsSpan(Prefix.Length)), InvitationJson.Default.Invitation);
            return read is { Addresses.Count: > 0, Pins.Count: > 0, Secret.Length: > 0 } && read.Addresses.All(a => Uri.TryCreate(a, UriKind.Absolute, out var uri) && uri.Scheme == "https") ? read : null;
        }
        catch (Exception e) when (e is JsonException or FormatException) { return null; }
    }
}

[JsonSerializable(typeof(Invitation))]
internal sealed partial class InvitationJson : JsonSerializerContext;
