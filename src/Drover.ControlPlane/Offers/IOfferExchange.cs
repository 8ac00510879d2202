using System.Threading.Channels;
using Drover.Core;
using Drover.Core.Offers;

namespace Drover.ControlPlane.Offers;

/// <summary>Where frameworks get offers and answer them: the one path to a running task, for the built-in app scheduler and foreign ones alike.</summary>
public interface IOfferExchange
{
    /// <summary>Begins to offer. A framework that subscribes again under its id ends its earlier subscription and loses the offers it held.</summary>
    IOfferSubscription Subscribe(FrameworkId framework, string name);

    /// <summary>Uses one offer; what it does not use is free again at once. Each operation is checked against the state as it is now and is done whole or refused with its reason.</summary>
    Task<AcceptOutcome> Accept(FrameworkId framework, OfferId offer, IReadOnlyList<OfferOperation> operations, TimeSpan refuse, CancellationToken cancel);

    /// <summary>Offers of these nodes, at once, for a framework that has looked for itself where it wants to go: those it holds and those that nobody is promised; of the others none.</summary>
    IReadOnlyList<Offer> Ask(FrameworkId framework, IReadOnlyCollection<NodeId> nodes);

    /// <summary>Uses many offers in one commit, in the order given; otherwise as the other.</summary>
    Task<IReadOnlyList<AcceptOutcome>> Accept(FrameworkId framework, IReadOnlyList<(OfferId Offer, IReadOnlyList<OfferOperation> Operations)> accepted, CancellationToken cancel);

    /// <summary>More than one framework is here.</summary>
    bool IsShared { get; }

    /// <summary>Nodes that other frameworks are promised.</summary>
    IReadOnlySet<NodeId> HeldFrom(FrameworkId framework);

    /// <summary>Gives offers back; their nodes are not offered to it again for <paramref name="refuse"/>.</summary>
    void Decline(FrameworkId framework, IReadOnlyCollection<OfferId> offers, TimeSpan refuse);

    /// <summary>Forgets what it declined and offers again, at once.</summary>
    void Revive(FrameworkId framework);

    /// <summary>Offers nothing until it revives. Offers it holds stay its own.</summary>
    void Suppress(FrameworkId framework);

    /// <summary>Looks at the cluster again: takes back offers that no longer hold, makes those that are due.</summary>
    /// <returns>Moment at which to look again though nothing changed; null: none.</returns>
    DateTimeOffset? Refresh();

    IReadOnlyCollection<Offer> Outstanding { get; }
}

public interface IOfferSubscription : IDisposable
{
    /// <summary>Ends when the subscription is replaced or disposed. Bounded by the number of nodes: each is in one offer at most.</summary>
    ChannelReader<OfferEvent> Events { get; }
}

public abstract record OfferEvent
{
    private OfferEvent() { }

    public sealed record Made(Offer Offer) : OfferEvent;
    public sealed record Rescinded(OfferId Offer) : OfferEvent;
}

public abstract record AcceptOutcome
{
    private AcceptOutcome() { }

    /// <summary>One outcome for each operation, in order.</summary>
    public sealed record Answered(IReadOnlyList<OperationOutcome> Operations) : AcceptOutcome;
    /// <summary>Rescinded, answered before, or another framework's.</summary>
    public sealed record NoSuchOffer(OfferId Offer) : AcceptOutcome;
}
