using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Drover.Core.Apps;

namespace Drover.ControlPlane.Store;

/// <summary>Specs that copies run by, each once: in the store under `specs/HASH`, in memory one object. A copy's entry names the hash where the spec would be.</summary>
internal sealed class SpecShelf
{
    public const string Prefix = "specs/";
    // Of SHA-256: what is told apart are the versions of apps of one cluster.
    private const int HashBytes = 16;

    private readonly Dictionary<string, AppSpec> _byHash = new(StringComparer.Ordinal);
    // A spec is immutable, and comparing or hashing one means to go through all of it: by the object itself.
    private readonly ConditionalWeakTable<AppSpec, string> _hashes = [];
    private readonly StoredJson _json;

    public SpecShelf() => _json = new StoredJson(new JsonSerializerOptions(StoredJson.Default.Options) { Converters = { new ByHash(this) } });

    public string HashOf(AppSpec spec)
    {
        if (_hashes.TryGetValue(spec, out var known))
        {
            // Another object that says the same may have been forgotten meanwhile.
            _byHash.TryAdd(known, spec);
            return known;
        }
        var hash = Convert.ToHexStringLower(SHA256.HashData(Bytes(spec)).AsSpan(0, HashBytes));
        _hashes.Add(spec, hash);
        _byHash.TryAdd(hash, spec);
        return hash;
    }

    public byte[] BytesOf(string hash) => Bytes(_byHash[hash]);

    /// <summary>The object on the shelf where there is one that says the same.</summary>
    public AppSpec Same(AppSpec spec) => _byHash[HashOf(spec)];

    public void Forget(string hash)
    {
        if (_byHash.Remove(hash, out var spec)) _hashes.Remove(spec);
    }

    public void Read(StoredEntry entry) => Entry<bool>(entry, () =>
    {
        var spec = JsonSerializer.Deserialize(entry.Value.Span, StoredJson.Default.AppSpec) ?? throw new JsonException("it is empty");
        var hash = entry.Key[Prefix.Length..];
        _byHash[hash] = spec;
        _hashes.AddOrUpdate(spec, hash);
        return true;
    });

    public byte[] Write(Instance copy) => JsonSerializer.SerializeToUtf8Bytes(copy, _json.Instance);

    public Instance ReadCopy(StoredEntry entry) => Entry(entry, () => JsonSerializer.Deserialize(entry.Value.Span, _json.Instance) ?? throw new JsonException("it is empty"));

    private static byte[] Bytes(AppSpec spec) => JsonSerializer.SerializeToUtf8Bytes(spec, StoredJson.Default.AppSpec);

    private static T Entry<T>(StoredEntry entry, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (JsonException e)
        {
            throw ClusterSchema.Damaged(entry.Key, e);
        }
    }

    /// <summary>Inside a copy: the hash alone. A whole spec there is read too: earlier versions wrote it so.</summary>
    private sealed class ByHash(SpecShelf shelf) : JsonConverter<AppSpec>
    {
        public override AppSpec Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
        {
            if (reader.TokenType != JsonTokenType.String) return shelf.Same(JsonSerializer.Deserialize(ref reader, StoredJson.Default.AppSpec) ?? throw new JsonException("its spec is empty"));
            var hash = reader.GetString()!;
            return shelf._byHash.TryGetValue(hash, out var spec) ? spec : throw new JsonException($"its spec {hash} is not there.");
        }

        public override void Write(Utf8JsonWriter writer, AppSpec value, JsonSerializerOptions options) => writer.WriteStringValue(shelf.HashOf(value));
    }
}
