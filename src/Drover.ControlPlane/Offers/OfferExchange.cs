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

    public async Task<AcceptOutcome> Accept(FrameworkId framework, OfferId offer, IReadOnlyList<OfferOperation> operations, TimeSpan refuse, CancellationToken cancel)
    {
        NodeId node;
        lock (_gate)
        {
            if (!_book.Outstanding.TryGetValue(offer, out var held) || held.Framework != framework) return new AcceptOutcome.NoSuchOffer(offer);
            node = held.Node;
            _book = OfferAllocator.Decline(_book, framework, [offer], refuse, time.GetUtcNow());
        }
        try
        {
            return new AcceptOutcome.Answered(await cluster.Decide(state => Apply(state, node, operations), cancel));
        }
        finally
        {
            Refresh();
        }
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

    /// <summary>One commit for all operations of an offer, each on the state the one before left.</summary>
    private Decision<IReadOnlyList<OperationOutcome>> Apply(ClusterState state, NodeId node, IReadOnlyList<OfferOperation> operations)
    {
        var now = time.GetUtcNow();
        var outcomes = new List<OperationOutcome>();
        var changes = new List<ClusterChange>();
        var events = new List<ClusterEvent>();
        foreach (var operation in operations)
        {
            var decision = OfferOperations.Apply(state, node, operation, now, chance);
            outcomes.Add(decision.Outcome);
            if (decision.Changes.IsDefaultOrEmpty) continue;
            changes.AddRange(decision.Changes);
            events.AddRange(decision.Events);
            state = state.Apply(decision.Changes);
        }
        return Decision.Of<IReadOnlyList<OperationOutcome>>(outcomes, changes, [.. events]);
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
