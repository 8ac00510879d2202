using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Drover.Contracts.Agent;
using Drover.Core;

namespace Drover.ControlPlane.Agents;

/// <summary>Who is connected, and what was asked of them and not answered yet. Steps outlive connections; logs do not.</summary>
public sealed class AgentConnections(ICluster cluster, IChance chance) : IAgentConnections
{
    private const int LogChunksWaiting = 256;
    private readonly Lock _lock = new();
    private readonly Dictionary<NodeId, AgentSession> _sessions = [];
    private readonly Dictionary<string, OpenStep> _steps = new(StringComparer.Ordinal);
    private readonly Dictionary<string, OpenLog> _logs = new(StringComparer.Ordinal);

    public bool IsConnected(NodeId node)
    {
        lock (_lock) return _sessions.TryGetValue(node, out var session) && session.Ready;
    }

    public async Task<StepResult> Run(NodeId node, Step step, Action<StepProgress>? progress, CancellationToken cancel)
    {
        // A step assumes the orders of the state it was decided in: a container is held before it is stopped.
        var open = new OpenStep(node, step, progress, cluster.Current.Revision);
        lock (_lock)
        {
            if (!_steps.TryAdd(step.StepId, open)) throw new InvalidOperationException($"step '{step.StepId}' is already under way: whoever began it waits for its result");
            if (_sessions.TryGetValue(node, out var session)) SendDue(session, open);
        }
        try
        {
            return await open.Done.Task.WaitAsync(cancel);
        }
        finally
        {
            lock (_lock)
            {
                _steps.Remove(step.StepId);
                if (!open.Done.Task.IsCompleted && _sessions.TryGetValue(node, out var session) && session.Ready)
                    session.Send(new ToAgent { Cancel = new CancelStep { StepId = step.StepId } });
            }
        }
    }

    public async IAsyncEnumerable<LogChunk> Logs(NodeId node, TaskId task, bool follow, int tail, [EnumeratorCancellation] CancellationToken cancel)
    {
        var request = new LogRequest { RequestId = chance.NewGuid().ToString("N"), TaskId = task.Value, Follow = follow, Tail = tail };
        var log = new OpenLog(node, Channel.CreateBounded<LogChunk>(LogChunksWaiting));
        var asked = false;
        lock (_lock)
        {
            if (_sessions.TryGetValue(node, out var session) && session.Ready && session.Send(new ToAgent { Log = request }))
                asked = _logs.TryAdd(request.RequestId, log);
        }
        if (!asked)
        {
            yield return new LogChunk { End = true, Error = $"{node} is not connected: its containers' output can be read again when its agent is back" };
            yield break;
        }
        try
        {
            await foreach (var chunk in log.Chunks.Reader.ReadAllAsync(cancel)) yield return chunk;
            if (log.Failure is { } why) yield return new LogChunk { RequestId = request.RequestId, End = true, Error = why };
        }
        finally
        {
            lock (_lock)
            {
                // Still listed: the agent has not said that it is done.
                if (_logs.Remove(request.RequestId) && _sessions.TryGetValue(node, out var session)) session.Send(new ToAgent { CancelLog = new CancelLog { RequestId = request.RequestId } });
            }
        }
    }

    /// <summary>A connection of this node: from now on the only one. One that was there before is ended.</summary>
    internal void Begin(AgentSession session)
    {
        AgentSession? before;
        lock (_lock)
        {
            before = _sessions.GetValueOrDefault(session.Node);
            _sessions[session.Node] = session;
        }
        before?.End("the node connected again");
        if (before is not null) FailLogs(session.Node, "the node connected again");
    }

    /// <summary>Sends the first orders; from then on the session takes steps. Those that wait for an answer are sent (again).</summary>
    internal void Ready(AgentSession session, Desired whole, long revision)
    {
        lock (_lock)
        {
            if (!IsCurrent(session)) return;
            session.Send(new ToAgent { Desired = whole });
            session.Ready = true;
            session.Revision = revision;
            foreach (var open in _steps.Values) if (open.Node == session.Node) SendDue(session, open);
        }
    }

    /// <summary>Orders have been given: steps that waited for them follow.</summary>
    internal void Ordered()
    {
        lock (_lock)
        {
            foreach (var open in _steps.Values) if (_sessions.TryGetValue(open.Node, out var session)) SendDue(session, open);
        }
    }

    private static void SendDue(AgentSession session, OpenStep open)
    {
        if (!session.Ready || session.Revision < open.Revision || ReferenceEquals(open.SentOn, session)) return;
        open.SentOn = session;
        session.Send(new ToAgent { Step = open.Step });
    }

    internal bool IsCurrent(AgentSession session)
    {
        lock (_lock) return _sessions.TryGetValue(session.Node, out var current) && ReferenceEquals(current, session);
    }

    internal bool HasSession(NodeId node)
    {
        lock (_lock) return _sessions.ContainsKey(node);
    }

    /// <summary>Closes the node's connection, if it has one.</summary>
    internal void End(NodeId node, string why)
    {
        AgentSession? session;
        lock (_lock) session = _sessions.GetValueOrDefault(node);
        session?.End(why);
    }

    /// <summary>False: another connection of this node had taken its place.</summary>
    internal bool Finish(AgentSession session)
    {
        lock (_lock)
        {
            if (!IsCurrent(session)) return false;
            _sessions.Remove(session.Node);
        }
        FailLogs(session.Node, $"the connection to {session.Node} ended");
        return true;
    }

    internal void Progress(AgentSession session, StepProgress progress)
    {
        OpenStep? open;
        lock (_lock)
        {
            open = _steps.GetValueOrDefault(progress.StepId);
            // Nobody waits for it any more (its move was undone while the agent was away): it need not go on.
            if (open is null || open.Node != session.Node) session.Send(new ToAgent { Cancel = new CancelStep { StepId = progress.StepId } });
        }
        if (open is not null && open.Node == session.Node) open.Progress?.Invoke(progress);
    }

    internal void Result(AgentSession session, StepResult result)
    {
        lock (_lock)
            if (_steps.TryGetValue(result.StepId, out var open) && open.Node == session.Node) open.Done.TrySetResult(result);
    }

    internal void Log(AgentSession session, LogChunk chunk)
    {
        lock (_lock)
        {
            if (!_logs.TryGetValue(chunk.RequestId, out var log) || log.Node != session.Node) return;
            if (!log.Chunks.Writer.TryWrite(chunk))
            {
                // Holding the stream for one slow reader would hold orders and observations too.
                log.Failure = "this reader is slower than the container writes: output was left out here; ask again";
                log.Chunks.Writer.TryComplete();
            }
            else if (chunk.End)
            {
                _logs.Remove(chunk.RequestId);
                log.Chunks.Writer.TryComplete();
            }
        }
    }

    private void FailLogs(NodeId node, string why)
    {
        lock (_lock)
        {
            foreach (var (id, log) in _logs.Where(l => l.Value.Node == node).ToList())
            {
                _logs.Remove(id);
                log.Failure = why;
                log.Chunks.Writer.TryComplete();
            }
        }
    }

    private sealed class OpenStep(NodeId node, Step step, Action<StepProgress>? progress, long revision)
    {
        public long Revision => revision;
        public AgentSession? SentOn { get; set; }
        public NodeId Node => node;
        public Step Step => step;
        public Action<StepProgress>? Progress => progress;
        public TaskCompletionSource<StepResult> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private sealed class OpenLog(NodeId node, Channel<LogChunk> chunks)
    {
        public NodeId Node => node;
        public Channel<LogChunk> Chunks => chunks;
        public string? Failure { get; set; }
    }
}

/// <summary>One connection of one agent: a bounded queue towards it and the reason of its end.</summary>
public sealed class AgentSession(NodeId node, CancellationToken outer) : IDisposable
{
    private const int OrdersWaiting = 1024;
    private readonly CancellationTokenSource _ended = CancellationTokenSource.CreateLinkedTokenSource(outer);
    private readonly Channel<ToAgent> _orders = Channel.CreateBounded<ToAgent>(new BoundedChannelOptions(OrdersWaiting) { SingleReader = true });

    private bool _disposed;
    private long _first;
    private volatile OrderedUpTo? _ordered;

    public NodeId Node => node;
    public CancellationToken Ended => _ended.Token;
    public string? EndedBecause { get; private set; }
    /// <summary>It got its orders: steps and log requests may follow.</summary>
    public bool Ready { get; set; }
    /// <summary>Revision of the state its orders are of: that of its first ones, then that up to which all are given.</summary>
    public long Revision { get => Math.Max(_first, _ordered?.Revision ?? 0); set => _first = value; }
    /// <summary>The limit of its transfers that it was told.</summary>
    public long? Limit { get; set; }
    /// <summary>Its request for a lease that is not answered yet.</summary>
    public LeaseRequest? Asked { get; set; }
    /// <summary>It was ended because nothing more came.</summary>
    public bool Silent { get; set; }
    /// <summary>When the last word of it came.</summary>
    public DateTimeOffset Heard { get; set; }
    public IAsyncEnumerable<ToAgent> Orders => _orders.Reader.ReadAllAsync(_ended.Token);

    /// <summary>From now on it gets what each commit changes.</summary>
    internal void Follow(OrderedUpTo ordered) => _ordered = ordered;

    /// <summary>False: it does not take what is sent. Such a connection is ended; the agent gets everything anew on the next.</summary>
    public bool Send(ToAgent order)
    {
        if (_orders.Writer.TryWrite(order)) return true;
        End($"it left {OrdersWaiting} orders unread");
        return false;
    }

    public void End(string why)
    {
        lock (_orders)
        {
            EndedBecause ??= why;
            // Off this thread: whoever ends a session may hold a lock that those it wakes want.
            if (!_disposed && !_ended.IsCancellationRequested) _ = _ended.CancelAsync();
        }
    }

    public void Dispose()
    {
        lock (_orders) _disposed = true;
        _ended.Dispose();
    }
}
