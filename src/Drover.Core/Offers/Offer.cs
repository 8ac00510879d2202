using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Drover.Core.Nodes;

namespace Drover.Core.Offers;

/// <summary>A scheduler that takes offers: the built-in one for apps, or a foreign one.</summary>
[JsonConverter(typeof(StringIdConverter<FrameworkId>))]
public readonly record struct FrameworkId(string Value) : IStringId<FrameworkId>, IComparable<FrameworkId>
{
    public static FrameworkId Of(string value) => new(value);
    public int CompareTo(FrameworkId other) => string.CompareOrdinal(Value, other.Value);
    public override string ToString() => Value;
}

/// <summary>What one node could still take, promised to one framework until it answers or the offer is rescinded.</summary>
/// <param name="Resources">All that is free there: ports are the free ranges.</param>
public sealed record Offer(OfferId Id, FrameworkId Framework, NodeId Node, string Hostname, Resources Resources, EquatableList<NodeAttribute> Attributes, DateTimeOffset At);

/// <summary>A framework in the eyes of the allocator.</summary>
/// <param name="Wants">False: it has asked for no offers until it revives.</param>
public sealed record FrameworkDemand(FrameworkId Id, string Name, bool Wants)
{
    /// <summary>Nodes it declined, and until when they are not offered to it again.</summary>
    public ImmutableDictionary<NodeId, DateTimeOffset> RefusedUntil { get; init; } = ImmutableDictionary<NodeId, DateTimeOffset>.Empty;
}

/// <summary>Frameworks and the offers they hold. Kept in memory only: after a restart frameworks subscribe anew.</summary>
public sealed record OfferBook(ImmutableSortedDictionary<FrameworkId, FrameworkDemand> Frameworks, ImmutableDictionary<OfferId, Offer> Outstanding)
{
    public static readonly OfferBook Empty = new(ImmutableSortedDictionary<FrameworkId, FrameworkDemand>.Empty, ImmutableDictionary<OfferId, Offer>.Empty);

    public OfferBook Without(IEnumerable<OfferId> offers) => this with { Outstanding = Outstanding.RemoveRange(offers) };
}

/// <summary>One thing a framework does with an offer.</summary>
public abstract record OfferOperation
{
    private OfferOperation() { }

    /// <summary>Starts a waiting copy on the offer's node, where its data, if it has any, already is.</summary>
    public sealed record Launch(InstanceId Instance) : OfferOperation;

    /// <summary>Brings a waiting copy's data to the offer's node by a move, which starts it there.</summary>
    public sealed record Relocate(InstanceId Instance) : OfferOperation;
}

/// <summary>What became of one operation.</summary>
public abstract record OperationOutcome
{
    private OperationOutcome() { }

    public sealed record Launched(InstanceId Instance, TaskId Task, NodeId Node) : OperationOutcome;
    public sealed record Moving(InstanceId Instance, MoveId Move, NodeId Node) : OperationOutcome;
    /// <summary>Nothing changed.</summary>
    public sealed record Refused(InstanceId Instance, string Reason) : OperationOutcome;
}
