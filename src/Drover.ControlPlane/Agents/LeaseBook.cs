using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Core.Nodes;
using Drover.Core.State;

namespace Drover.ControlPlane.Agents;

/// <summary>Which nodes may write, who speaks for each of them, and when it is certain that one does not write any more.</summary>
public sealed class LeaseBook
{
    private const int RefusalsRemembered = 1024;
    private readonly Lock _lock = new();
    private readonly ICluster _cluster;
    private readonly TimeProvider _time;
    private readonly Observability.AgentMeter? _meter;
    private readonly long _zero;
    private readonly Dictionary<NodeId, string> _seats = [];
    // From this revision of its orders on a node gets grants; the largest there is: not until what is being decided is decided.
    private readonly Dictionary<NodeId, long> _notBefore = [];
    private readonly HashSet<(NodeId, string)> _refused = [];
    private readonly HashSet<AgentSession> _waiting = [];
    private LeaseGrants _grants;

    public LeaseBook(ICluster cluster, LeaseTerms terms, TimeProvider time, Observability.AgentMeter? meter = null)
    {
        (_cluster, _time, _zero, _meter) = (cluster, time, time.GetTimestamp(), meter);
        // An earlier run may have granted longer leases than this one does.
        var longest = cluster.Current.Nodes.Values.Select(n => n.Lease).Append(terms.Length).Max();
        _grants = new LeaseGrants(terms, TimeSpan.Zero) { Before = new LeaseTerms(longest) };
    }

    public LeaseTerms Terms => _grants.Terms;

    /// <summary>Length of the longest lease that may be out now.</summary>
    public TimeSpan Longest
    {
        get { lock (_lock) return Now < _grants.StartedAt + _grants.Before.HeldFor ? _grants.Before.Length : _grants.Terms.Length; }
    }

    private TimeSpan Now => _time.GetElapsedTime(_zero);

    /// <summary>For how long the node may still be writing.</summary>
    public TimeSpan Left(NodeId node)
    {
        lock (_lock) return _grants.Left(node, Now);
    }

    /// <summary>An agent says that it is this node. Null: it is. Otherwise why it may not be, and whether that is new.</summary>
    public (string Why, bool First)? Sit(NodeId node, string seat)
    {
        lock (_lock)
        {
            var known = _seats.GetValueOrDefault(node) ?? _cluster.Current.Nodes.GetValueOrDefault(node)?.Seat;
            var left = _grants.Left(node, Now);
            if (known is null || known == seat || left == TimeSpan.Zero)
            {
                _seats[node] = seat;
                return null;
            }
            if (_refused.Count >= RefusalsRemembered) _refused.Clear();
            return ($"another agent is node '{node}' (its machine, or this one, is a copy, or was started anew): it may write for {Math.Ceiling(left.TotalSeconds):0} s more. "
                + "Stop one of the two; if the machine was started anew, this one is taken when that time has passed", _refused.Add((node, seat)));
        }
    }

    /// <summary>Answers those that could not be answered when they asked. Called after orders.</summary>
    public void ServeWaiting()
    {
        lock (_lock) foreach (var session in _waiting.ToList()) Serve(session);
    }

    /// <summary>The session has ended.</summary>
    public void Forget(AgentSession session)
    {
        lock (_lock) _waiting.Remove(session);
    }

    /// <summary>Answers what the session asked, where it may be answered now.</summary>
    public void Serve(AgentSession session)
    {
        lock (_lock)
        {
            // Never before its orders: a node that comes back must know what it no longer owns before it may write.
            if (session.Asked is not { } asked || !session.Ready || session.Revision < _notBefore.GetValueOrDefault(session.Node))
            {
                if (session.Asked is not null) _waiting.Add(session);
                return;
            }
            session.Asked = null;
            _waiting.Remove(session);
            // Counted before it can leave: the node began to count when it asked, earlier still.
            _meter?.Granted(anew: _grants.Left(session.Node, Now) == TimeSpan.Zero);
            _grants = _grants.Granted(session.Node, Now);
            session.Send(new ToAgent { Lease = new LeaseGrant { AskedAtUs = asked.AskedAtUs, LengthMs = (long)_grants.Terms.Length.TotalMilliseconds } });
        }
    }

    /// <summary>
    /// Decides something that is only right while the node does not write. Its lease is looked at inside the decision, and from then until the node has orders that
    /// know of what was decided it gets no other.
    /// </summary>
    /// <param name="decide">Gets the time that the lease has left; with any left it must change nothing.</param>
    public async Task<T> DecideWithout<T>(NodeId node, Func<ClusterState, TimeSpan, Decision<T>> decide, CancellationToken cancel)
    {
        Bar(node, long.MaxValue);
        var until = 0L;
        try
        {
            return await _cluster.Decide(state =>
            {
                var decision = decide(state, Left(node));
                if (!decision.Changes.IsDefaultOrEmpty) until = state.Revision + 1;
                return decision;
            }, cancel);
        }
        // A commit that failed may have been stored all the same: the state is then read again, under a later revision.
        catch when (until > 0) { until++; throw; }
        finally { Bar(node, until); }
    }

    private void Bar(NodeId node, long revision)
    {
        lock (_lock)
        {
            if (revision == 0) _notBefore.Remove(node);
            else _notBefore[node] = revision;
        }
    }
}
