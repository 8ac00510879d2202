using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using Drover.ControlPlane.Store;

namespace Drover.ControlPlane.Events;

/// <param name="Url">Where events are posted.</param>
/// <param name="ClientIp">Who asked for it.</param>
public sealed record Callback(string Url, string ClientIp, DateTimeOffset Since);

/// <summary>Who wants events posted: in the store before anybody is told that it is so.</summary>
public sealed class CallbackBook(IStateStore store) : IDisposable
{
    private const string Key = "events/callbacks";
    private readonly SemaphoreSlim _turn = new(1, 1);
    private ImmutableArray<Callback> _callbacks;
    private long _version;

    public async Task<ImmutableArray<Callback>> All(CancellationToken cancel)
    {
        await _turn.WaitAsync(cancel);
        try { return await Loaded(); }
        finally { _turn.Release(); }
    }

    /// <summary>False: there are too many. One that is there already stays as it is.</summary>
    public async Task<bool> Add(Callback callback, CancellationToken cancel)
    {
        await _turn.WaitAsync(cancel);
        try
        {
            var known = await Loaded();
            if (known.Any(c => c.Url == callback.Url)) return true;
            if (known.Length >= CallbackRules.MaxCallbacks) return false;
            await Put(known.Add(callback));
            return true;
        }
        finally { _turn.Release(); }
    }

    public async Task Remove(string url, CancellationToken cancel)
    {
        await _turn.WaitAsync(cancel);
        try
        {
            var known = await Loaded();
            if (known.Any(c => c.Url == url)) await Put(known.RemoveAll(c => c.Url == url));
        }
        finally { _turn.Release(); }
    }

    public void Dispose() => _turn.Dispose();

    private async Task<ImmutableArray<Callback>> Loaded()
    {
        if (!_callbacks.IsDefault) return _callbacks;
        var entry = await store.Get(Key, CancellationToken.None);
        try
        {
            _version = entry?.Version ?? 0;
            return _callbacks = entry is null ? [] : JsonSerializer.Deserialize(entry.Value.Span, CallbackJson.Default.ImmutableArrayCallback);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"The stored entry '{Key}' cannot be read: {e.Message} Restore a backup of drover.db.", e);
        }
    }

    private async Task Put(ImmutableArray<Callback> next)
    {
        // Not cancelled half-way: what may have reached the disk must be seen.
        var outcome = await store.Commit([new StateWrite(Key, JsonSerializer.SerializeToUtf8Bytes(next, CallbackJson.Default.ImmutableArrayCallback), _version)], CancellationToken.None);
        if (outcome.Conflict) throw new InvalidOperationException("Another control plane writes to this store: run only one.");
        _version++;
        _callbacks = next;
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ImmutableArray<Callback>))]
internal sealed partial class CallbackJson : JsonSerializerContext;
