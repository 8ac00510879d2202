using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Drover.Core;

namespace Drover.ControlPlane.Access;

/// <summary>Signs transfer tickets with a key of its own (ECDSA P-256, SHA-256, IEEE P1363): whoever steals a ticket key cannot make certificates.</summary>
public sealed class Tickets : ITransferTickets, IDisposable
{
    private readonly ECDsa _key;
    private readonly IChance _chance;

    private Tickets(ECDsa key, IChance chance) => (_key, _chance) = (key, chance);

    /// <summary>What agents check tickets with (SubjectPublicKeyInfo PEM).</summary>
    public string PublicKeyPem => _key.ExportSubjectPublicKeyInfoPem();

    /// <summary>Reads `ticket.key`, or makes it. A lost key costs nothing but the tickets under way: agents get the new one at their next connection.</summary>
    public static Tickets OpenOrCreate(DataFolder folder, IChance chance)
    {
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        if (File.Exists(folder.TicketKey)) key.ImportFromPem(File.ReadAllText(folder.TicketKey));
        else DataFolder.WriteWhole(folder.TicketKey, key.ExportPkcs8PrivateKeyPem(), DataFolder.Secret);
        return new(key, chance);
    }

    public string Sign(TransferGrant grant)
    {
        var ticket = new TicketJson(grant.Move.Value, grant.Volume.Value, grant.Epoch.Value, grant.Snapshot.Value, grant.Source.Value, grant.Target.Value,
            grant.NotAfter.ToUnixTimeSeconds(), _chance.NewGuid().ToString("N"));
        var json = JsonSerializer.SerializeToUtf8Bytes(ticket, TicketJsonContext.Default.TicketJson);
        var signature = _key.SignData(json, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
        return $"{Base64Url.EncodeToString(json)}.{Base64Url.EncodeToString(signature)}";
    }

    public void Dispose() => _key.Dispose();
}

/// <summary>The signed bytes of a ticket (proto/drover/agent/v1/transfer.md).</summary>
internal sealed record TicketJson(string Move, string Volume, long Epoch, string Snapshot, string Source, string Target, long NotAfter, string Nonce);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(TicketJson))]
internal sealed partial class TicketJsonContext : JsonSerializerContext;
