using Drover.Agent.Guard;
using Drover.Agent.Host;

namespace Drover.Agent.Tests.Leases;

/// <summary>The machine's clock, moved by the test.</summary>
internal sealed class LeaseClock : IBootClock
{
    public string BootId { get; private init; } = "boot";
    public TimeSpan Now => TimeSpan.FromSeconds(Seconds);
    public double Seconds { get; set; } = 100;

    public LeaseClock Of(string boot) => boot == BootId ? this : new() { BootId = boot, Seconds = Seconds };
}

/// <summary>A guard that lives or not, as the test says.</summary>
internal sealed class LeaseGuard : IGuardProcess
{
    public bool Runs { get; set; } = true;
    public bool CanStart { get; set; } = true;
    public int Starts { get; private set; }

    public void Start()
    {
        Starts++;
        Runs = CanStart;
    }
}

/// <summary>Whatever is waited for is due at once.</summary>
internal sealed class EagerTime : TimeProvider
{
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => base.CreateTimer(callback, state, TimeSpan.Zero, period);
}
