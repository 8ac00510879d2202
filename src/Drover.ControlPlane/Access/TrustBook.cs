using System.Text.Json;
using System.Text.Json.Serialization;
using Drover.ControlPlane.Store;
using Drover.Core.Trust;

namespace Drover.ControlPlane.Access;

/// <summary>The one holder of <see cref="TrustState"/>: changes one after the other, in the store before anybody sees them.</summary>
public sealed class TrustBook : IDisposable
{
    private const string Key = "trust/state";
    private readonly IStateStore _store;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile TrustState _state;
    private long _version;

    private TrustBook(IStateStore store, TrustState state, long version) => (_store, _state, _version) = (store, state, version);

    public TrustState State => _state;

    /// <summary>Done at the next change. Take it before reading <see cref="State"/>, and none is missed.</summary>
    public Task Changed => Volatile.Read(ref _changed).Task;

    public static async Task<TrustBook> Open(IStateStore store)
    {
        var entry = await store.Get(Key, CancellationToken.None);
        if (entry is null) return new(store, TrustState.Empty, 0);
        try
        {
            var state = JsonSerializer.Deserialize(entry.Value.Span, TrustJson.Default.TrustState) ?? throw new JsonException("it is empty");
            return new(store, state, entry.Version);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"The stored entry '{Key}' cannot be read: {e.Message} Nobody can be let in without it: restore a backup of drover.db.", e);
        }
    }

    /// <summary>Decides on the current state while nobody else does; returns the refusal, or null when it was done.</summary>
    public async Task<string?> Decide(Func<TrustState, TrustDecision> decide, CancellationToken cancel)
    {
        await _turn.WaitAsync(cancel);
        try
        {
            var decision = decide(_state);
            if (decision.Next is not { } next) return decision.Refusal ?? "nothing was decided";
            // Not cancelled half-way: what may have reached the disk must be seen.
            var outcome = await _store.Commit([new StateWrite(Key, JsonSerializer.SerializeToUtf8Bytes(next, TrustJson.Default.TrustState), _version)], CancellationToken.None);
            if (outcome.Conflict) throw new InvalidOperationException("Another control plane writes to this store: run only one.");
            _version++;
            _state = next;
            Interlocked.Exchange(ref _changed, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
            return null;
        }
        finally { _turn.Release(); }
    }

    public void Dispose() => _turn.Dispose();
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true, DefaultIgnoreCondition = JsonIgnoreCondition.Never)]
[JsonSerializable(typeof(TrustState))]
internal sealed partial class TrustJson : JsonSerializerContext;
