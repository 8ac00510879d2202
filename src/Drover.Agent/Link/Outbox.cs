using Drover.Agent.Reconcile;
using Drover.Contracts.Agent;

namespace Drover.Agent.Link;

/// <summary>What waits to be sent to control. Of each instance, volume and step's progress only the newest is kept, so that a long time without a stream costs no memory.</summary>
public sealed class Outbox : IObservations, IDisposable
{
    /// <summary>Beyond it progress and observations are dropped: Hello tells the observations again, and the next progress follows soon.</summary>
    private const int Most = 4096;

    private readonly Lock _gate = new();
    private readonly LinkedList<(string? Key, FromAgent Message)> _waiting = [];
    private readonly Dictionary<string, LinkedListNode<(string? Key, FromAgent Message)>> _byKey = [];
    private readonly SemaphoreSlim _there = new(0, 1);

    public void Dispose() => _there.Dispose();

    public int Count { get { lock (_gate) return _waiting.Count; } }

    public void Tell(FromAgent message)
    {
        lock (_gate)
        {
            var key = KeyOf(message);
            // The newer one goes to the end: what was told in between stays before it.
            if (key is not null && _byKey.Remove(key, out var older)) _waiting.Remove(older);
            if (_waiting.Count >= Most && message.KindCase != FromAgent.KindOneofCase.Result) return;
            var node = _waiting.AddLast((key, message));
            if (key is not null) _byKey[key] = node;
            if (_there.CurrentCount == 0) _there.Release();
        }
    }

    /// <summary>Waits for the next to send.</summary>
    public async Task<FromAgent> Take(CancellationToken cancel)
    {
        while (true)
        {
            lock (_gate)
            {
                if (_waiting.First is { } first)
                {
                    _waiting.RemoveFirst();
                    if (first.Value.Key is { } key) _byKey.Remove(key);
                    return first.Value.Message;
                }
            }
            await _there.WaitAsync(cancel);
        }
    }

    /// <summary>A new stream begins with a Hello that tells all instances and volumes: older words of them, and answers to a stream that is gone, are dropped.</summary>
    public void BeginStream()
    {
        lock (_gate)
        {
            // Results stay: control may have missed the first telling. So do refusals of strangers: nothing tells them again.
            for (var node = _waiting.First; node is not null;)
            {
                var next = node.Next;
                if (node.Value.Message.KindCase is not (FromAgent.KindOneofCase.Result or FromAgent.KindOneofCase.RefusedIdentity))
                {
                    _waiting.Remove(node);
                    if (node.Value.Key is { } key) _byKey.Remove(key);
                }
                node = next;
            }
        }
    }

    private static string? KeyOf(FromAgent message) => message.KindCase switch
    {
        FromAgent.KindOneofCase.Instance => "i:" + message.Instance.InstanceId,
        FromAgent.KindOneofCase.Volume => "v:" + message.Volume.Name,
        FromAgent.KindOneofCase.Progress => $"p:{message.Progress.StepId}:{message.Progress.Volume}",
        FromAgent.KindOneofCase.Result => "r:" + message.Result.StepId,
        FromAgent.KindOneofCase.Heartbeat => "h",
        FromAgent.KindOneofCase.Lease => "lease",
        _ => null,
    };
}
