using System.Collections.Immutable;
using Drover.Core.Apps;
using Drover.Core.Nodes;
using Drover.Core.State;

namespace Drover.Core.Offers;

/// <summary>Decides who is offered what: the whole of a node's free resources to one framework at a time, to that which holds the smallest share.</summary>
public static class OfferAllocator
{
    // Mesos' least worth offering.
    private const double LeastCpus = 0.01;
    private const double LeastMemoryMiB = 32;

    /// <summary>New offers, and the book with them.</summary>
    public static (OfferBook Book, ImmutableArray<Offer> Made) Allocate(ClusterState state, OfferBook book, DateTimeOffset now, IChance chance)
    {
        // Most often nobody does: then no node is looked at.
        if (!book.Frameworks.Values.Any(f => f.Wants)) return (book, []);
        var made = ImmutableArray.CreateBuilder<Offer>();
        var offered = book.Outstanding.Values.Select(o => o.Node).ToHashSet();
        foreach (var node in state.Nodes.Values)
        {
            if (offered.Contains(node.Id) || node.Cordoned || !state.IsConnected(node.Id)) continue;
            var free = Placement.Free(state, node.Id);
            if (free.Cpus < LeastCpus && free.MemoryMiB < LeastMemoryMiB) continue;
            var taker = book.Frameworks.Values.Where(f => f.Wants && !(f.RefusedUntil.TryGetValue(node.Id, out var until) && until > now))
                .MinBy(f => (DominantShare(state, book, f.Id), f.Id));
            if (taker is null) continue;
            var offer = new Offer(NewId(chance), taker.Id, node.Id, node.Hostname, free, node.Attributes, now);
            book = book with { Outstanding = book.Outstanding.Add(offer.Id, offer) };
            made.Add(offer);
        }
        return (book, made.ToImmutable());
    }

    /// <summary>Offers of named nodes to one framework, at once: what it holds of them already, and all of them that nobody is promised. A framework that looks for itself needs no offers of the
    /// rest of the cluster.</summary>
    public static (OfferBook Book, ImmutableArray<Offer> Offers) Ask(ClusterState state, OfferBook book, FrameworkId framework, IEnumerable<NodeId> nodes, DateTimeOffset now, IChance chance)
    {
        if (!book.Frameworks.ContainsKey(framework)) return (book, []);
        var promised = book.Outstanding.Values.ToDictionary(o => o.Node);
        var offers = ImmutableArray.CreateBuilder<Offer>();
        foreach (var id in nodes.Distinct())
        {
            if (promised.TryGetValue(id, out var known))
            {
                if (known.Framework == framework) offers.Add(known);
                continue;
            }
            if (!state.Nodes.TryGetValue(id, out var node) || node.Cordoned || !state.IsConnected(id)) continue;
            offers.Add(new Offer(NewId(chance), framework, id, node.Hostname, Placement.Free(state, id), node.Attributes, now));
        }
        return (book with { Outstanding = book.Outstanding.SetItems(offers.Select(o => KeyValuePair.Create(o.Id, o))) }, offers.ToImmutable());
    }

    /// <summary>Nodes that others than this framework are promised.</summary>
    public static ImmutableHashSet<NodeId> HeldFrom(OfferBook book, FrameworkId framework) => [.. book.Outstanding.Values.Where(o => o.Framework != framework).Select(o => o.Node)];

    /// <summary>Offers that promise what is no longer there.</summary>
    public static ImmutableArray<Offer> Stale(ClusterState state, OfferBook book) =>
        [.. book.Outstanding.Values.Where(o => !state.IsConnected(o.Node) || !state.Nodes.TryGetValue(o.Node, out var node) || node.Cordoned || !Within(o.Resources, Placement.Free(state, o.Node)))];

    /// <summary>Declined: not offered again to that framework before the time is over.</summary>
    public static OfferBook Decline(OfferBook book, FrameworkId framework, IEnumerable<OfferId> offers, TimeSpan refuse, DateTimeOffset now)
    {
        if (!book.Frameworks.TryGetValue(framework, out var demand)) return book;
        var own = offers.Where(id => book.Outstanding.TryGetValue(id, out var o) && o.Framework == framework).ToList();
        var refused = demand.RefusedUntil;
        foreach (var id in own) refused = refuse > TimeSpan.Zero ? refused.SetItem(book.Outstanding[id].Node, now + refuse) : refused.Remove(book.Outstanding[id].Node);
        return book.Without(own) with { Frameworks = book.Frameworks.SetItem(framework, demand with { RefusedUntil = refused }) };
    }

    /// <summary>Next moment at which a refusal ends for a framework that wants offers.</summary>
    public static DateTimeOffset? Deadline(OfferBook book, DateTimeOffset now)
    {
        var ends = book.Frameworks.Values.Where(f => f.Wants).SelectMany(f => f.RefusedUntil.Values).Where(at => at > now).ToList();
        return ends.Count == 0 ? null : ends.Min();
    }

    private static OfferId NewId(IChance chance) => new($"o{chance.NewGuid():n}"[..13]);

    private static double DominantShare(ClusterState state, OfferBook book, FrameworkId framework)
    {
        var cpus = state.Nodes.Values.Sum(n => n.Resources.Cpus);
        var memory = state.Nodes.Values.Sum(n => n.Resources.MemoryMiB);
        var held = book.Outstanding.Values.Where(o => o.Framework == framework).ToList();
        return Math.Max(cpus <= 0 ? 0 : held.Sum(o => o.Resources.Cpus) / cpus, memory <= 0 ? 0 : held.Sum(o => o.Resources.MemoryMiB) / memory);
    }

    private static bool Within(Resources promised, Resources free) =>
        promised.Cpus <= free.Cpus + 1e-9 && promised.MemoryMiB <= free.MemoryMiB + 1e-9 && promised.DiskMiB <= free.DiskMiB + 1e-9 && promised.Gpus <= free.Gpus + 1e-9
        && promised.Ports.Items.All(p => free.Ports.Items.Any(f => f.Begin <= p.Begin && p.End <= f.End));
}
