using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Core.State;

namespace Drover.ControlPlane.Agents;

/// <summary>Up to which revision of the state all orders are given.</summary>
public sealed class OrderedUpTo
{
    private long _revision;
    public long Revision { get => Volatile.Read(ref _revision); internal set => Volatile.Write(ref _revision, value); }
}

/// <summary>Sends every connected agent what each commit changes in its orders. One reader of commits for all of them: a commit concerns a few nodes, and only those are looked at.</summary>
public sealed class AgentOrders(ICluster cluster, AgentConnections connections, LeaseBook leases, AgentLinkOptions options, ILogger<AgentOrders> log) : IHostedService, IDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<NodeId, Joined> _joined = [];
    private readonly OrderedUpTo _ordered = new();
    private readonly CancellationTokenSource _stop = new();
    private Task _reading = Task.CompletedTask;

    /// <param name="From">Revision of its first orders: commits up to there are in them.</param>
    private sealed record Joined(AgentSession Session, long From);

    public Task StartAsync(CancellationToken cancellationToken)
    {
        // Watched before anybody can join: no commit falls between first orders and changes.
        var commits = cluster.Watch(_stop.Token);
        _reading = Task.Run(() => Read(commits), CancellationToken.None);
        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stop.CancelAsync();
        await _reading.WaitAsync(cancellationToken);
    }

    public void Dispose() => _stop.Dispose();

    /// <summary>The whole order once; from then on what each commit changes in it.</summary>
    public void Join(AgentSession session)
    {
        lock (_gate)
        {
            // Whatever is committed after this state comes to the reader later: it needs this lock for each commit.
            var state = cluster.Current;
            var whole = DesiredState.For(state, session.Node);
            whole.Generation = Generation(state);
            connections.Ready(session, whole, state.Revision);
            session.Follow(_ordered);
            _joined[session.Node] = new(session, state.Revision);
            session.Limit = state.Nodes.GetValueOrDefault(session.Node)?.TransferLimit;
            if (session.Limit is { } limit) session.Send(Limiting(limit));
        }
        leases.Serve(session);
    }

    public void Leave(AgentSession session)
    {
        lock (_gate) if (_joined.TryGetValue(session.Node, out var joined) && ReferenceEquals(joined.Session, session)) _joined.Remove(session.Node);
        leases.Forget(session);
    }

    private async Task Read(IAsyncEnumerable<Committed> commits)
    {
        try
        {
            await foreach (var commit in commits)
            {
                try
                {
                    Take(commit);
                }
                catch (Exception fault)
                {
                    // An agent that believes in old orders is worse than one that has to connect again and gets them whole.
                    log.LogError(fault, "the orders of a commit could not be given: every agent connects again");
                    EndAll();
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The process stops.
        }
    }

    private void EndAll()
    {
        lock (_gate)
        {
            foreach (var joined in _joined.Values) joined.Session.End("orders could not be given: it gets them whole on the next connection");
            _joined.Clear();
        }
    }

    private void Take(Committed commit)
    {
        lock (_gate)
        {
            foreach (var (joined, change) in Changed(commit))
            {
                change.Generation = Generation(commit.After);
                joined.Session.Send(new ToAgent { Change = change });
            }
            foreach (var change in commit.Changes) if (change is ClusterChange.PutNode(var node)) Limit(node.Id, node.TransferLimit);
            if (commit.Missed) foreach (var node in commit.After.Nodes.Values) Limit(node.Id, node.TransferLimit);
            _ordered.Revision = commit.After.Revision;
        }
        connections.Ordered();
        leases.ServeWaiting();
    }

    private IEnumerable<(Joined Joined, DesiredChange Change)> Changed(Committed commit)
    {
        if (!DesiredState.MayDiffer(commit.Before, commit.After)) yield break;
        var scope = OrderScope.Of(commit);
        foreach (var id in scope.Everyone ? _joined.Keys.ToList() : scope.Nodes)
        {
            if (Due(id, commit) is { } joined && DesiredState.Change(DesiredState.For(commit.Before, id), DesiredState.For(commit.After, id)) is { } change) yield return (joined, change);
        }
        if (scope.Everyone) yield break;
        foreach (var (id, copies) in scope.Copies)
        {
            if (Due(id, commit) is { } joined && DesiredState.Change(commit.Before, commit.After, id, copies) is { } change) yield return (joined, change);
        }
    }

    private Joined? Due(NodeId node, Committed commit) => _joined.TryGetValue(node, out var joined) && joined.From < commit.After.Revision ? joined : null;

    private void Limit(NodeId node, long? bytesPerSecond)
    {
        if (!_joined.TryGetValue(node, out var joined) || joined.Session.Limit == bytesPerSecond) return;
        joined.Session.Limit = bytesPerSecond;
        joined.Session.Send(Limiting(bytesPerSecond));
    }

    private static ToAgent Limiting(long? bytesPerSecond) => new() { TransferLimits = new TransferLimits { BytesPerSecond = bytesPerSecond ?? 0 } };

    private long Generation(ClusterState state) => (options.Term << 40) + state.Revision;
}
