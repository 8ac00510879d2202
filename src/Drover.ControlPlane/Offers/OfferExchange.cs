using System.Threading.Channels;
using Drover.Core;
using Drover.Core.Offers;
using Drover.Core.State;

namespace Drover.ControlPlane.Offers;

/// <inheritdoc cref="IOfferExchange"/>
public sealed class OfferExchange(ICluster cluster, TimeProvider time, IChance chance) : IOfferExchange
{
    // Offers and rescissions of a framework that does not read: past this it is behind for good and its subscription ends.
    private const int Backlog = 16384;

    private readonly Lock _gate = new();
    private readonly Dictionary<FrameworkId, Subscription> _subscriptions = [];
    private OfferBook _book = OfferBook.Empty;

    public IReadOnlyCollection<Offer> Outstanding
    {
        get { lock (_gate) return [.. _book.Outstanding.Values.OrderBy(o => o.Node)]; }
    }

    public IOfferSubscription Subscribe(FrameworkId framework, string name)
    {
        lock (_gate)
        {
            End(framework);
            var subscription = new Subscription(this, framework);
            _subscriptions[framework] = subscription;
            _book = _book with { Frameworks = _book.Frameworks.SetItem(framework, new FrameworkDemand(framework, name, Wants: true)) };
            Look();
            return subscription;
        }
    }

    public async Task<AcceptOutcome> Accept(FrameworkId framework, OfferId offer, IReadOnlyList<OfferOperation> operations, TimeSpan refuse, CancellationToken cancel) =>
        (await Accept(framework, [(offer, operations)], refuse, cancel))[0];

    public Task<IReadOnlyList<AcceptOutcome>> Accept(FrameworkId framework, IReadOnlyList<(OfferId Offer, IReadOnlyList<OfferOperation> Operations)> accepted, CancellationToken cancel) =>
        Accept(framework, accepted, TimeSpan.Zero, cancel);

    private async Task<IReadOnlyList<AcceptOutcome>> Accept(
        FrameworkId framework, IReadOnlyList<(OfferId Offer, IReadOnlyList<OfferOperation> Operations)> accepted, TimeSpan refuse, CancellationToken cancel)
    {
        List<NodeId?> nodes;
        lock (_gate)
        {
            nodes = [.. accepted.Select(a => _book.Outstanding.TryGetValue(a.Offer, out var held) && held.Framework == framework ? (NodeId?)held.Node : null)];
            _book = OfferAllocator.Decline(_book, framework, [.. accepted.Zip(nodes).Where(a => a.Second is not null).Select(a => a.First.Offer)], refuse, time.GetUtcNow());
        }
        try
        {
            return await cluster.Decide(state => Apply(state, nodes, accepted), cancel);
        }
        finally
        {
            Refresh();
        }
    }

    public IReadOnlyList<Offer> Ask(FrameworkId framework, IReadOnlyCollection<NodeId> nodes)
    {
        lock (_gate)
        {
            (_book, var offers) = OfferAllocator.Ask(cluster.Current, _book, framework, nodes, time.GetUtcNow(), chance);
            return offers;
        }
    }

    public bool IsShared
    {
        get { lock (_gate) return _book.Frameworks.Count > 1; }
    }

    public IReadOnlySet<NodeId> HeldFrom(FrameworkId framework)
    {
        lock (_gate) return OfferAllocator.HeldFrom(_book, framework);
    }

    public void Decline(FrameworkId framework, IReadOnlyCollection<OfferId> offers, TimeSpan refuse)
    {
        lock (_gate)
        {
            _book = OfferAllocator.Decline(_book, framework, offers, refuse, time.GetUtcNow());
            Look();
        }
    }

    public void Revive(FrameworkId framework)
    {
        lock (_gate)
        {
            if (!_book.Frameworks.TryGetValue(framework, out var demand)) return;
            _book = _book with { Frameworks = _book.Frameworks.SetItem(framework, new FrameworkDemand(framework, demand.Name, Wants: true)) };
            Look();
        }
    }

    public void Suppress(FrameworkId framework)
    {
        lock (_gate)
        {
            if (!_book.Frameworks.TryGetValue(framework, out var demand)) return;
            _book = _book with { Frameworks = _book.Frameworks.SetItem(framework, demand with { Wants = false }) };
        }
    }

    public DateTimeOffset? Refresh()
    {
        lock (_gate)
        {
            Look();
            return OfferAllocator.Deadline(_book, time.GetUtcNow());
        }
    }

    /// <summary>One commit for all operations of all offers, each on the state the one before left.</summary>
    private Decision<IReadOnlyList<AcceptOutcome>> Apply(ClusterState state, List<NodeId?> nodes, IReadOnlyList<(OfferId Offer, IReadOnlyList<OfferOperation> Operations)> accepted)
    {
        var now = time.GetUtcNow();
        var (answers, changes, events) = (new List<AcceptOutcome>(accepted.Count), new List<ClusterChange>(), new List<ClusterEvent>());
        for (var i = 0; i < accepted.Count; i++)
        {
            if (nodes[i] is not { } node)
            {
                answers.Add(new AcceptOutcome.NoSuchOffer(accepted[i].Offer));
                continue;
            }
            var outcomes = new List<OperationOutcome>();
            foreach (var operation in accepted[i].Operations)
            {
                var decision = OfferOperations.Apply(state, node, operation, now, chance);
                outcomes.Add(decision.Outcome);
                if (decision.Changes.IsDefaultOrEmpty) continue;
                changes.AddRange(decision.Changes);
                events.AddRange(decision.Events);
                foreach (var change in decision.Changes) state = state.Apply(change);
            }
            answers.Add(new AcceptOutcome.Answered(outcomes));
        }
        return Decision.Of<IReadOnlyList<AcceptOutcome>>(answers, changes, [.. events]);
    }

    private void Look()
    {
        var state = cluster.Current;
        foreach (var stale in OfferAllocator.Stale(state, _book))
        {
            _book = _book.Without([stale.Id]);
            Tell(stale.Framework, new OfferEvent.Rescinded(stale.Id));
        }
        (_book, var made) = OfferAllocator.Allocate(state, _book, time.GetUtcNow(), chance);
        foreach (var offer in made) Tell(offer.Framework, new OfferEvent.Made(offer));
    }

    private void Tell(FrameworkId framework, OfferEvent happened)
    {
        if (_subscriptions.TryGetValue(framework, out var subscription) && !subscription.Channel.Writer.TryWrite(happened)) End(framework);
    }

    private void End(FrameworkId framework)
    {
        if (!_subscriptions.Remove(framework, out var subscription)) return;
        subscription.Channel.Writer.TryComplete();
        _book = _book.Without(_book.Outstanding.Values.Where(o => o.Framework == framework).Select(o => o.Id).ToList()) with { Frameworks = _book.Frameworks.Remove(framework) };
    }

    private void End(Subscription subscription)
    {
        lock (_gate)
        {
            if (!_subscriptions.TryGetValue(subscription.Framework, out var current) || current != subscription) return;
            End(subscription.Framework);
            Look();
        }
    }

    private sealed class Subscription(OfferExchange exchange, FrameworkId framework) : IOfferSubscription
    {
        public FrameworkId Framework => framework;
        public Channel<OfferEvent> Channel { get; } = System.Threading.Channels.Channel.CreateBounded<OfferEvent>(Backlog);
        public ChannelReader<OfferEvent> Events => Channel.Reader;
        public void Dispose() => exchange.End(this);
    }
}
