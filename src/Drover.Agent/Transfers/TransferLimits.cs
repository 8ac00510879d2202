namespace Drover.Agent.Transfers;

/// <summary>What this node's transfers may take together: bytes a second out, and how many run at a time. Final rounds are exempt: an app stands still for them.</summary>
public sealed class TransferLimits(AgentOptions options, TimeProvider time)
{
    public const int Default = 2;
    private const int Most = 64;

    internal RateLimit Rate { get; } = new(options.TransferLimit, time);
    internal TransferQueue Outgoing { get; } = new(Default);
    internal TransferQueue Incoming { get; } = new(Default);

    /// <summary>As the control plane says. Zero: what the agent was started with.</summary>
    public void Set(Contracts.Agent.TransferLimits limits)
    {
        Rate.Set(limits.BytesPerSecond > 0 ? limits.BytesPerSecond : options.TransferLimit);
        Outgoing.SetLimit(limits.Outgoing > 0 ? Math.Min(limits.Outgoing, Most) : Default);
        Incoming.SetLimit(limits.Incoming > 0 ? Math.Min(limits.Incoming, Most) : Default);
    }
}
