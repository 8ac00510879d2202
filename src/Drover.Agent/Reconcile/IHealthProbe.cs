using Drover.Agent.Containers;
using Drover.Contracts.Agent;

namespace Drover.Agent.Reconcile;

/// <summary>Asks a task once how it is.</summary>
public interface IHealthProbe
{
    Task<ProbeAnswer> Ask(DesiredInstance instance, HealthCheck check, ContainerView container, CancellationToken cancel);

    /// <summary>The answer is in it only where the check keeps it.</summary>
    Task<ReadinessObserved> AskReady(DesiredInstance instance, ReadinessCheck check, ContainerView container, CancellationToken cancel);
}

/// <param name="Cause">Null: well. Otherwise why not, for people.</param>
/// <param name="Says">False: it answered and that says nothing; as if it had not been asked.</param>
public readonly record struct ProbeAnswer(string? Cause, bool Says)
{
    public static readonly ProbeAnswer Well = new(null, true);
    public static readonly ProbeAnswer Nothing = new(null, false);
    public static ProbeAnswer Unwell(string cause) => new(cause, true);
}
