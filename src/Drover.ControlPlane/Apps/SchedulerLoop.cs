using Drover.ControlPlane.Offers;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Offers;
using Drover.Core.State;

namespace Drover.ControlPlane.Apps;

/// <summary>The built-in framework: takes offers for the copies that wait for a place, and says of the others what they wait for.</summary>
public sealed class SchedulerLoop(ICluster cluster, IOfferExchange exchange, TimeProvider time, ILogger<SchedulerLoop> log) : WakingLoop(cluster, time, log)
{
    public static readonly FrameworkId Framework = new("apps");

    private static readonly TimeSpan Refuse = TimeSpan.FromSeconds(5);

    private readonly Dictionary<NodeId, Offer> _offers = [];
    private IOfferSubscription? _subscription;
    private bool _hungry;
    private Task? _coming;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var subscription = exchange.Subscribe(Framework, "Drover's app scheduler");
        _subscription = subscription;
        await base.ExecuteAsync(stoppingToken);
    }

    protected override async Task<DateTimeOffset?> Pass(CancellationToken cancel)
    {
        var refusalsEnd = exchange.Refresh();
        if (AppScheduling.Waiting(Cluster.Current).IsEmpty)
        {
            Rest(hungry: false);
            return refusalsEnd;
        }
        exchange.Revive(Framework);
        Gather();
        _hungry = false;
        var next = new List<DateTimeOffset?> { refusalsEnd };
        foreach (var copy in AppScheduling.Waiting(Cluster.Current)) next.Add(await Place(copy, cancel));
        Rest(_hungry);
        return DeploymentLoop.Earliest(next);
    }

    private async Task<DateTimeOffset?> Place(Instance copy, CancellationToken cancel)
    {
        var state = Cluster.Current;
        if (!state.Instances.TryGetValue(copy.Id, out var current) || current.Node is not null) return null;
        var choice = AppScheduling.Choose(state, current, _offers.Keys.ToHashSet(), Time.GetUtcNow());
        if (choice is SchedulingChoice.Wait wait)
        {
            _hungry |= wait.ForOffer;
            if (current.WaitsFor != wait.For) await Say(current.Id, wait.For, cancel);
            return wait.Until;
        }
        var take = (SchedulingChoice.Take)choice;
        if (!_offers.Remove(take.Node, out var offer)) return null;
        var outcome = await exchange.Accept(Framework, offer.Id, [take.Operation], TimeSpan.Zero, cancel);
        // What the offer had beyond this copy is offered again at once.
        Gather();
        if (outcome is AcceptOutcome.Answered { Operations: [OperationOutcome.Refused refused] })
        {
            log.LogInformation("{Instance} was not taken on {Node}: {Reason}", refused.Instance, take.Node, refused.Reason);
            await Say(copy.Id, refused.Reason, cancel);
        }
        return null;
    }

    private void Gather()
    {
        while (_subscription!.Events.TryRead(out var happened))
        {
            if (happened is OfferEvent.Made made) _offers[made.Offer.Node] = made.Offer;
            if (happened is OfferEvent.Rescinded(var id) && _offers.Values.FirstOrDefault(o => o.Id == id) is { } gone) _offers.Remove(gone.Node);
        }
    }

    /// <summary>Keeps nothing it does not use: other frameworks may have it.</summary>
    /// <param name="hungry">A copy waits for a node that another framework is offered at the moment: it is to be told when that comes free.</param>
    private void Rest(bool hungry)
    {
        if (!hungry) exchange.Suppress(Framework);
        Gather();
        exchange.Decline(Framework, [.. _offers.Values.Select(o => o.Id)], hungry ? Refuse : TimeSpan.Zero);
        _offers.Clear();
        if (hungry && _coming is null or { IsCompleted: true }) _coming = WakeOnOffer();
    }

    private async Task WakeOnOffer()
    {
        if (await _subscription!.Events.WaitToReadAsync(CancellationToken.None)) Wake();
    }

    private Task<bool> Say(InstanceId id, string what, CancellationToken cancel) => Cluster.Decide(
        state => state.Instances.TryGetValue(id, out var copy) && copy.Node is null && copy.WaitsFor != what
            ? Decision.Of(true, [new ClusterChange.PutInstance(copy with { WaitsFor = what })])
            : false, cancel);
}
