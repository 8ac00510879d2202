using System.Runtime.InteropServices;

namespace Drover.Agent.Host;

/// <summary>A clock that goes on while the machine is suspended, the same for every process of one start of the machine.</summary>
public interface IBootClock
{
    TimeSpan Now { get; }

    /// <summary>Names this start of the machine: moments of another one say nothing.</summary>
    string BootId { get; }
}

public sealed unsafe partial class BootClock : IBootClock
{
    private const int BootTime = 7, Absolute = 1;

    public string BootId { get; } = File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();

    public TimeSpan Now
    {
        get
        {
            Span<long> moment = stackalloc long[2];
            fixed (long* at = moment)
                if (GetTime(BootTime, at) != 0) throw new InvalidOperationException($"the kernel has no CLOCK_BOOTTIME: {Marshal.GetLastPInvokeErrorMessage()}");
            return TimeSpan.FromSeconds(moment[0]) + TimeSpan.FromTicks(moment[1] / TimeSpan.NanosecondsPerTick);
        }
    }

    /// <summary>Blocks the thread until then; a machine that wakes from being suspended later than that wakes this first. Signals may end it early.</summary>
    public static void SleepUntil(TimeSpan moment)
    {
        Span<long> until = [(long)moment.TotalSeconds, moment.Ticks % TimeSpan.TicksPerSecond * TimeSpan.NanosecondsPerTick];
        fixed (long* at = until) _ = Sleep(BootTime, Absolute, at, null);
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime", SetLastError = true)]
    private static partial int GetTime(int clock, long* result);

    [LibraryImport("libc", EntryPoint = "clock_nanosleep")]
    private static partial int Sleep(int clock, int flags, long* until, long* left);
}
