using Drover.ControlPlane.Offers;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Offers;
using Drover.Core.State;

namespace Drover.ControlPlane.Apps;

/// <summary>The built-in framework: looks where the copies that wait for a place can go, asks for offers of those nodes and uses them, many in one commit; and says of the others what they wait for.</summary>
public sealed class SchedulerLoop(ICluster cluster, IOfferExchange exchange, TimeProvider time, ILogger<SchedulerLoop> log) : WakingLoop(cluster, time, log)
{
    public static readonly FrameworkId Framework = new("apps");

    /// <summary>Copies placed in one pass: what comes meanwhile (a node that is gone, an app that is changed) is seen by the next, soon.</summary>
    private const int Most = 512;
    private static readonly TimeSpan Refuse = TimeSpan.FromSeconds(5);

    private readonly ParkedApps _parked = new();
    private IOfferSubscription? _subscription;
    private Task? _coming;

    /// <summary>Nodes looked at since the start.</summary>
    internal long Looked { get; private set; }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var subscription = exchange.Subscribe(Framework, "Drover's app scheduler");
        _subscription = subscription;
        await base.ExecuteAsync(stoppingToken);
    }

    // Where others have offers, those are looked at with every commit: what they promise may be gone.
    protected override bool Concerns(Committed commit) => _parked.Look(commit) || (exchange.IsShared && (commit.Missed || !commit.Changes.IsEmpty));

    protected override async Task<DateTimeOffset?> Pass(CancellationToken cancel)
    {
        _parked.Begin();
        var refusalsEnd = exchange.Refresh();
        var state = Cluster.Current;
        if (!AppScheduling.AnyWaits(state))
        {
            Rest(hungry: false);
            return refusalsEnd;
        }
        var plan = SchedulingPass.Run(state, exchange.HeldFrom(Framework), Most, _parked.IsParked, Time.GetUtcNow());
        Looked += plan.Looked;
        await Task.WhenAll([Use(plan.Takes, cancel), Say([.. plan.Says], cancel)]);
        _parked.Park(plan.Refused);
        Rest(plan.ForOffer);
        if (plan.More) Wake();
        return DeploymentLoop.Earliest([refusalsEnd, plan.Until]);
    }

    private async Task Use(IReadOnlyCollection<SchedulingChoice.Take> takes, CancellationToken cancel)
    {
        if (takes.Count == 0) return;
        var offers = exchange.Ask(Framework, [.. takes.Select(t => t.Node)]).ToDictionary(o => o.Node);
        // All that one node takes with its one offer. A node that another framework was promised since is looked for again with the next pass.
        var accepted = takes.Where(t => offers.ContainsKey(t.Node)).GroupBy(t => t.Node).Select(g => (offers[g.Key].Id, (IReadOnlyList<OfferOperation>)[.. g.Select(t => t.Operation)])).ToList();
        if (accepted.Count < offers.Count || offers.Count == 0) Wake();
        var answers = await exchange.Accept(Framework, accepted, cancel);
        var refused = answers.OfType<AcceptOutcome.Answered>().SelectMany(a => a.Operations).OfType<OperationOutcome.Refused>().ToList();
        foreach (var one in refused) log.LogInformation("{Instance} was not taken: {Reason}", one.Instance, one.Reason);
        await Say([.. refused.Select(r => (r.Instance, r.Reason))], cancel);
    }

    /// <summary>Keeps nothing it does not use: other frameworks may have it.</summary>
    /// <param name="hungry">A copy waits for a node that another framework is offered at the moment: it is to be told when that comes free.</param>
    private void Rest(bool hungry)
    {
        if (hungry) exchange.Revive(Framework);
        else exchange.Suppress(Framework);
        while (_subscription!.Events.TryRead(out _)) { /* What it holds, the exchange knows. */ }
        var held = exchange.Outstanding.Where(o => o.Framework == Framework).Select(o => o.Id).ToList();
        if (held.Count > 0) exchange.Decline(Framework, held, hungry ? Refuse : TimeSpan.Zero);
        if (hungry && _coming is null or { IsCompleted: true }) _coming = WakeOnOffer();
    }

    private async Task WakeOnOffer()
    {
        if (await _subscription!.Events.WaitToReadAsync(CancellationToken.None)) Wake();
    }

    private Task Say(IReadOnlyCollection<(InstanceId Copy, string What)> words, CancellationToken cancel)
    {
        if (words.Count == 0) return Task.CompletedTask;
        return Cluster.Decide(state => Decision.Of(true, words
            .Where(w => state.Instances.TryGetValue(w.Copy, out var copy) && copy.Node is null && copy.WaitsFor != w.What)
            .Select(w => new ClusterChange.PutInstance(state.Instances[w.Copy] with { WaitsFor = w.What }))), cancel);
    }
}
