using Drover.Agent.Reconcile;
using Drover.Contracts.Agent;

namespace Drover.Agent.Transfers;

/// <summary>Tells the control plane who was not let in. Of one kind and peer at most one in ten seconds, with the number of those in between: a stranger must not flood the audit.</summary>
internal sealed class RefusalReports(IObservations observations, TimeProvider time)
{
    private const int MostPeers = 256, LongestReason = 500;
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(10);
    private readonly Lock _gate = new();
    private readonly Dictionary<(string, string), Told> _told = [];

    private sealed class Told
    {
        public long At { get; set; }
        public int More { get; set; }
    }

    public void Tell(string kind, string peer, string reason)
    {
        int more;
        lock (_gate)
        {
            // Many peers at once can only be addresses of strangers: begin anew rather than grow.
            if (_told.Count >= MostPeers) _told.Clear();
            if (!_told.TryGetValue((kind, peer), out var told)) _told[(kind, peer)] = told = new();
            else if (time.GetElapsedTime(told.At) < Between) { told.More++; return; }
            (more, told.At, told.More) = (told.More, time.GetTimestamp(), 0);
        }
        observations.Tell(new FromAgent
        {
            RefusedIdentity = new() { Kind = kind, Peer = peer, Reason = reason.Length > LongestReason ? reason[..LongestReason] : reason, AtUnixMs = time.GetUtcNow().ToUnixTimeMilliseconds(), More = more },
        });
    }
}
