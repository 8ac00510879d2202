using System.Collections.Immutable;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.Core.Offers;

/// <summary>What the app scheduler does for the copies that wait, all on one snapshot of the state: longest waiting first, each choice on what those before it left.</summary>
/// <param name="Takes">To be done, in order.</param>
/// <param name="Says">What copies that stay wait for, where that is another word than before.</param>
/// <param name="Until">Moment at which to look again though nothing changed.</param>
/// <param name="ForOffer">A node fits that another framework is promised just now.</param>
/// <param name="More">It stopped at its limit: there is more to place at once.</param>
/// <param name="Refused">Apps of which no copy fits anywhere: only a change that frees something, or a change of the app, can help.</param>
/// <param name="Looked">Nodes that were looked at.</param>
public sealed record SchedulingPlan(ImmutableArray<SchedulingChoice.Take> Takes, ImmutableArray<(InstanceId Copy, string What)> Says, DateTimeOffset? Until, bool ForOffer, bool More,
    ImmutableHashSet<AppId> Refused, long Looked);

/// <inheritdoc cref="SchedulingPlan"/>
public sealed class SchedulingPass
{
    private readonly DateTimeOffset _now;
    private readonly IReadOnlySet<NodeId> _held;
    private readonly Dictionary<AppId, NodeSearch> _searches = [];
    private readonly Dictionary<AppId, (AppSpec Spec, SchedulingChoice.Wait Wait)> _refused = [];
    private readonly List<SchedulingChoice.Take> _takes = [];
    private readonly List<(InstanceId, string)> _says = [];
    private ClusterState _state;

    private SchedulingPass(ClusterState state, IReadOnlySet<NodeId> held, DateTimeOffset now) => (_state, _held, _now) = (state, held, now);

    /// <param name="held">Nodes promised to other frameworks.</param>
    /// <param name="most">Copies to place at most.</param>
    /// <param name="skip">Apps that need not be looked at: nothing that could help them has happened.</param>
    public static SchedulingPlan Run(ClusterState state, IReadOnlySet<NodeId> held, int most, Func<AppId, bool> skip, DateTimeOffset now) => new SchedulingPass(state, held, now).Run(most, skip);

    private SchedulingPlan Run(int most, Func<AppId, bool> skip)
    {
        // One queue of copies for each app, the app whose copy waits longest first: the order of all copies, without sorting all of them.
        var queues = new PriorityQueue<IEnumerator<CopyKey>, CopyKey>();
        foreach (var app in _state.Copies.Waiting) if (!skip(app)) Next(queues, ((IEnumerable<CopyKey>)_state.Copies.ByApp[app].Waiting).GetEnumerator());
        DateTimeOffset? until = null;
        var (forOffer, refused) = (false, ImmutableHashSet.CreateBuilder<AppId>());
        while (queues.Count > 0 && _takes.Count < most)
        {
            var queue = queues.Dequeue();
            if (_state.Instances.TryGetValue(queue.Current.Id, out var copy) && InstanceLifecycle.OwningMove(_state, copy) is null)
            {
                var choice = Choose(copy);
                if (choice is SchedulingChoice.Take take) Take(copy, take);
                else if (choice is SchedulingChoice.Wait wait)
                {
                    if (copy.WaitsFor != wait.For) _says.Add((copy.Id, wait.For));
                    if (wait.Until is { } at && (until is null || at < until)) until = at;
                    forOffer |= wait.ForOffer;
                    if (wait is { Until: null, ForOffer: false } && copy.Spec.Volumes.Length == 0) refused.Add(copy.App);
                }
            }
            Next(queues, queue);
        }
        return new([.. _takes], [.. _says], until, forOffer, queues.Count > 0, refused.ToImmutable(), _searches.Values.Sum(s => s.Looked));
    }

    private SchedulingChoice Choose(Instance copy)
    {
        // What no node takes of one copy, no node takes of the next of the same: a pass only fills nodes up.
        if (_refused.TryGetValue(copy.App, out var known) && ReferenceEquals(known.Spec, copy.Spec)) return known.Wait;
        var choice = copy.Spec.Volumes.Length > 0 ? AppScheduling.Choose(_state, copy, _held, _now) : AppScheduling.Choose(_state, copy, Search(copy), _held, _now);
        if (choice is SchedulingChoice.Wait wait && copy.Spec.Volumes.Length == 0) _refused[copy.App] = (copy.Spec, wait);
        return choice;
    }

    private NodeSearch Search(Instance copy)
    {
        if (_searches.TryGetValue(copy.App, out var search) && search.Is(copy.Spec)) return search;
        return _searches[copy.App] = new NodeSearch(_state, copy.Spec);
    }

    /// <summary>The state as it will be with this one placed, for those that come after it.</summary>
    private void Take(Instance copy, SchedulingChoice.Take take)
    {
        _takes.Add(take);
        var before = Free(take.Node);
        var decision = take.Verdict is { } verdict ? Launching.On(_state, copy, verdict, _now, true).Changes : OfferOperations.Apply(_state, take.Node, take.Operation, _now, Nothing.ByChance).Changes;
        if (decision.IsDefaultOrEmpty) return;
        foreach (var change in decision) _state = _state.Apply(change);
        if (_searches.TryGetValue(copy.App, out var search) && take.Verdict is not null) search.Placed(copy, _state.Nodes[take.Node]);
        if (before is not null && Free(take.Node) is { } after) foreach (var other in _searches.Values) other.Loaded(before, after);
    }

    private FreeNode? Free(NodeId id) => _state.Nodes.TryGetValue(id, out var node) ? FreeNode.Of(node, _state.Copies.ByNode.GetValueOrDefault(id) ?? NodeLoad.None) : null;

    private static void Next(PriorityQueue<IEnumerator<CopyKey>, CopyKey> queues, IEnumerator<CopyKey> queue)
    {
        if (queue.MoveNext()) queues.Enqueue(queue, queue.Current);
        else queue.Dispose();
    }

    /// <summary>Ids of what is only tried: nothing of it is kept.</summary>
    private sealed class Nothing : IChance
    {
        public static readonly Nothing ByChance = new();
        public Guid NewGuid() => Guid.Empty;
        public double NextDouble() => 0;
    }
}
