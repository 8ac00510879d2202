using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using System.Threading.Channels;
using Drover.Contracts.Api;

namespace Drover.ControlPlane.Events;

/// <summary>One happening in the forms its listeners read, rendered once for all of them.</summary>
/// <param name="Marathon">The same under Marathon's names; often none, sometimes two.</param>
public sealed record Happening(EventView View, ImmutableArray<NamedEvent> Marathon)
{
    private byte[]? _frame;

    /// <summary>As /api/v1/events sends it. Two listeners that ask at the same moment for the first time may both render it: the bytes are the same.</summary>
    public ReadOnlyMemory<byte> Frame => _frame ??= ServerSentEvents.Frame(View.Sequence.ToString(CultureInfo.InvariantCulture), View.Kind, JsonSerializer.SerializeToUtf8Bytes(View, ApiJson.Default.EventView));
}

/// <summary>One event under Marathon's name.</summary>
/// <param name="data">JSON in one line.</param>
public sealed class NamedEvent(string name, ReadOnlyMemory<byte> data)
{
    public string Name { get; } = name;
    public ReadOnlyMemory<byte> Data { get; } = data;
    /// <summary>As /v2/events sends it.</summary>
    public ReadOnlyMemory<byte> Frame { get; } = ServerSentEvents.Frame(null, name, data.Span);
}

/// <summary>The last happenings, and those who listen. Sequence numbers grow by one and go on growing over restarts of the process (they begin at the clock's milliseconds).</summary>
/// <remarks>Bounded everywhere: <see cref="Capacity"/> happenings are kept; a listener that is <see cref="Backlog"/> behind is cut off and may come back with the last number it saw.</remarks>
public sealed class EventRing(TimeProvider time)
{
    public const int Capacity = 1_000;
    public const int Backlog = 1_024;
    public const int MaxListeners = 1_000;
    private readonly Lock _lock = new();
    private readonly Queue<Happening> _kept = new();
    private readonly HashSet<Subscription> _listeners = [];
    private long _last = time.GetUtcNow().ToUnixTimeMilliseconds();

    public int Listeners
    {
        get { lock (_lock) return _listeners.Count; }
    }

    /// <param name="make">Gets the sequence number.</param>
    /// <param name="keep">False: only for those who listen now (progress), not for replay.</param>
    public void Put(Func<long, Happening> make, bool keep = true)
    {
        lock (_lock)
        {
            var happening = make(++_last);
            Observability.Meters.Events.Told(happening.View.Kind);
            if (keep)
            {
                _kept.Enqueue(happening);
                if (_kept.Count > Capacity) _kept.Dequeue();
            }
            foreach (var listener in _listeners) listener.Put(happening);
        }
    }

    /// <summary>Happenings from now on, after those kept with a number above <paramref name="after"/>.</summary>
    /// <param name="after">null: nothing is replayed.</param>
    /// <returns>null: too many listen already.</returns>
    public Subscription? Subscribe(long? after)
    {
        lock (_lock)
        {
            if (_listeners.Count >= MaxListeners) return null;
            var replay = after is { } known ? _kept.Where(h => h.View.Sequence > known).ToImmutableArray() : [];
            var subscription = new Subscription(replay, Leave);
            _listeners.Add(subscription);
            return subscription;
        }
    }

    private void Leave(Subscription subscription)
    {
        lock (_lock) _listeners.Remove(subscription);
    }
}

/// <summary>One listener's place. Dispose to leave.</summary>
public sealed class Subscription : IDisposable
{
    private readonly Channel<Happening> _channel = Channel.CreateBounded<Happening>(EventRing.Backlog);
    private readonly CancellationTokenSource _cut = new();
    private readonly Action<Subscription> _leave;

    internal Subscription(ImmutableArray<Happening> replay, Action<Subscription> leave) => (Replay, _leave) = (replay, leave);

    public ImmutableArray<Happening> Replay { get; }
    /// <summary>Ends, after what is in it, when the listener fell too far behind.</summary>
    public ChannelReader<Happening> Live => _channel.Reader;

    /// <summary>Cancelled when the listener fell too far behind.</summary>
    public CancellationToken Cut => _cut.Token;

    internal void Put(Happening happening)
    {
        if (_channel.Writer.TryWrite(happening)) return;
        if (!_channel.Writer.TryComplete()) return;
        Observability.Meters.Events.Cut();
        // Off this thread: who publishes does not run what hangs on the token.
        _ = _cut.CancelAsync();
    }

    public void Dispose()
    {
        _leave(this);
        _channel.Writer.TryComplete();
        _cut.Dispose();
    }
}
