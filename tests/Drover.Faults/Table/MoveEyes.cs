using System.Globalization;
using Drover.Contracts.Api;
using Drover.Core.Moves;
using Drover.Faults.Lab;

namespace Drover.Faults.Table;

/// <summary>Looks at a move as any user may, and notes when it first shows that something is wrong.</summary>
public sealed class MoveEyes : IAsyncDisposable
{
    private static readonly TimeSpan Every = TimeSpan.FromMilliseconds(40);
    private readonly CancellationTokenSource _stop = new();
    private readonly FaultLab _lab;
    private readonly string _move;
    private Task _looking = Task.CompletedTask;

    private MoveEyes(FaultLab lab, string move) => (_lab, _move) = (lab, move);

    public DateTimeOffset? Seen { get; private set; }

    /// <param name="before">The move before the fault.</param>
    public static MoveEyes Open(FaultLab lab, string move, MoveView? before)
    {
        var eyes = new MoveEyes(lab, move);
        eyes._looking = Task.Run(() => eyes.Look(before), CancellationToken.None);
        return eyes;
    }

    private async Task Look(MoveView? before)
    {
        using var tick = new PeriodicTimer(Every, _lab.Time);
        try
        {
            while (Seen is null && await tick.WaitForNextTickAsync(_stop.Token))
                if (await _lab.SeeMove(_move, _stop.Token) is { } now) Seen = Wrong(before, now) ? Turned(now) ?? _lab.Time.GetUtcNow() : null;
        }
        catch (OperationCanceledException) { /* told to stop */ }
    }

    private static bool Wrong(MoveView? before, MoveView now) =>
        Turned(now) is not null || (now.WaitsFor is not null && now.WaitsFor != before?.WaitsFor) || now.Progress?.Doing.Contains("broke", StringComparison.Ordinal) == true;

    /// <summary>When the move turned back.</summary>
    private static DateTimeOffset? Turned(MoveView now) => now.History.FirstOrDefault(h => h.State == nameof(MoveState.Unwinding))?.At;

    /// <summary>A moment on the boot clock, that the writer's acknowledgements are told in.</summary>
    public static long OnBootClock(DateTimeOffset moment, TimeProvider time)
    {
        var since = double.Parse(File.ReadAllText("/proc/uptime").Split(' ')[0], CultureInfo.InvariantCulture);
        return (long)((since - (time.GetUtcNow() - moment).TotalSeconds) * 1e9);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _looking;
        _stop.Dispose();
    }
}
