using System.Collections.Immutable;

namespace Drover.Core.Nodes;

/// <summary>
/// For how long a node may write its volumes without hearing from the control plane, and what each end makes of it. The node counts <see cref="Length"/> from before it
/// asked, the control plane <see cref="HeldFor"/> from after it answered: as long as neither clock runs more than a hundredth wrong and the guard
/// needs no more than <see cref="ToAct"/>, the node has stopped before the control plane takes the lease for ended.
/// </summary>
public sealed record LeaseTerms(TimeSpan Length)
{
    public static readonly TimeSpan Shortest = TimeSpan.FromSeconds(5), Longest = TimeSpan.FromHours(1);
    public static readonly LeaseTerms Default = new(TimeSpan.FromSeconds(60));

    /// <summary>What the guard may take from the end of the lease until nothing can be written any more.</summary>
    public static readonly TimeSpan ToAct = TimeSpan.FromSeconds(2);

    /// <summary>Share of the length by which clocks may differ in what they count.</summary>
    private const double RateSlack = 0.05;

    /// <summary>How long after it asked the node asks again.</summary>
    public TimeSpan RenewAfter => Length / 3;

    /// <summary>From here on the node stops its writers with their grace; at the end the guard stops them without.</summary>
    public TimeSpan StopAfter => Length * 5 / 6;

    /// <summary>How long after its last answer the control plane takes the node for one that may write.</summary>
    public TimeSpan HeldFor => Length * (1 + RateSlack) + ToAct;
}

/// <summary>The lease as the node has it. Moments are of its own clock that counts on while the machine is suspended.</summary>
/// <param name="AskedAt">When it asked for the newest grant it got; null: it never got one.</param>
public sealed record HeldLease(LeaseTerms Terms, TimeSpan? AskedAt)
{
    public static readonly HeldLease None = new(LeaseTerms.Default, null);

    public TimeSpan? StopAt => AskedAt + Terms.StopAfter;
    public TimeSpan? EndsAt => AskedAt + Terms.Length;

    /// <summary>Grants may arrive late and in any order: one that was asked for earlier takes nothing away. A newer one counts also where it is shorter: the control plane
    /// goes by its newest terms, and the node only stops sooner.</summary>
    public HeldLease Granted(TimeSpan askedAt, LeaseTerms terms) => AskedAt is { } known && known >= askedAt ? this : new(terms, askedAt);

    /// <summary>Writers may be started.</summary>
    public bool MayStart(TimeSpan now) => StopAt is { } stop && now < stop;

    public bool HasEnded(TimeSpan now) => EndsAt is not { } end || now >= end;
}

/// <summary>The leases as the control plane knows them. Moments are of its own clock. Not stored: what an earlier run granted has ended for sure only when a whole lease has passed since this one started.</summary>
public sealed record LeaseGrants(LeaseTerms Terms, TimeSpan StartedAt)
{
    /// <summary>Terms that an earlier run may have granted by.</summary>
    public LeaseTerms Before { get; init; } = Terms;

    private ImmutableDictionary<NodeId, TimeSpan> Answered { get; init; } = ImmutableDictionary<NodeId, TimeSpan>.Empty;

    /// <param name="now">After the answer was decided on.</param>
    public LeaseGrants Granted(NodeId node, TimeSpan now) => this with { Answered = Answered.SetItem(node, now) };

    /// <summary>For how long the node may still write; zero: it does not write any more, also where it is cut off.</summary>
    public TimeSpan Left(NodeId node, TimeSpan now)
    {
        var end = StartedAt + Before.HeldFor;
        if (Answered.TryGetValue(node, out var at) && at + Terms.HeldFor > end) end = at + Terms.HeldFor;
        return end > now ? end - now : TimeSpan.Zero;
    }
}
