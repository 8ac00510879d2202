using Drover.Agent.Leases;
using Drover.Agent.Link;
using Drover.Agent.Reconcile;
using Drover.Agent.Transfers;
using Drover.Contracts.Metrics;

namespace Drover.Agent.Metrics;

/// <summary>Every metric of an agent: in one place, so that what is listed is what there is.</summary>
public sealed record AgentMeters(LinkMeters Link, LeaseMeters Leases, StepMeters Steps, TransferMeters Transfers, NodeMeters Node)
{
    public static AgentMeters Add(MetricBook book, TimeProvider time) => new(new(book), new(book), new(book, time), new(book), new(book));
}

public static class MetersSetup
{
    public static IServiceCollection AddMeters(this IServiceCollection services)
    {
        var book = new MetricBook(TimeProvider.System);
        book.AddProcess(typeof(AgentMeters).Assembly);
        var meters = AgentMeters.Add(book, TimeProvider.System);
        // By a factory, so that it is disposed with the agent.
        services.AddSingleton(_ => book).AddSingleton(meters.Link).AddSingleton(meters.Leases).AddSingleton(meters.Steps).AddSingleton(meters.Transfers);
        services.AddSingleton<MetricsServer>().AddHostedService(s =>
        {
            meters.Node.Watch(s.GetRequiredService<Reconciler>());
            meters.Leases.Watch(s.GetRequiredService<NodeLease>());
            return s.GetRequiredService<MetricsServer>();
        });
        return services;
    }
}
