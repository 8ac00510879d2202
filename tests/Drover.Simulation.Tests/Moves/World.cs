using Drover.Core;

namespace Drover.Simulation.Tests.Moves;

/// <summary>A run of events in virtual time, the same for the same seed.</summary>
internal sealed class World(int seed)
{
    public static readonly DateTimeOffset Start = new(2026, 1, 5, 12, 0, 0, TimeSpan.Zero);

    private readonly PriorityQueue<Action, (TimeSpan At, long Order)> _events = new();
    private ulong _state = (ulong)seed * 0x9E3779B97F4A7C15 + 0x1234567;
    private long _order;

    public TimeSpan Clock { get; private set; }
    public DateTimeOffset Now => Start + Clock;
    public List<string> Story { get; } = [];

    public void After(TimeSpan delay, Action act) => _events.Enqueue(act, (Clock + (delay < TimeSpan.Zero ? TimeSpan.Zero : delay), _order++));

    /// <summary>Runs the next event; false: there is none before <paramref name="end"/>.</summary>
    public bool Step(TimeSpan end)
    {
        if (!_events.TryPeek(out _, out var next) || next.At > end) return false;
        Clock = next.At;
        _events.Dequeue()();
        return true;
    }

    public void Tell(string what) => Story.Add($"{Clock.TotalSeconds,8:0.000} {what}");

    // SplitMix64.
    public double Chance()
    {
        var z = _state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return ((z ^ (z >> 31)) >> 11) / (double)(1UL << 53);
    }

    public bool Happens(double likelihood) => Chance() < likelihood;

    public TimeSpan Span(double least, double most) => TimeSpan.FromSeconds(least + Chance() * (most - least));
}

/// <summary>Data of one volume in the model: how many writes it holds, and whose contents it is.</summary>
internal sealed record Contents(long Writes, string Identity);

internal sealed class Live(Epoch epoch, long writes)
{
    public Epoch Epoch { get; } = epoch;
    public long Writes { get; set; } = writes;
    public bool Sealed { get; set; }
}

/// <summary>What one machine holds of one volume.</summary>
internal sealed class Replica
{
    public Live? Live { get; set; }
    public Dictionary<SnapshotName, Contents> Snapshots { get; } = [];
}

internal sealed class Container(TaskId task, VolumeName volume)
{
    public TaskId Task { get; } = task;
    public VolumeName Volume { get; } = volume;
    public bool Runs { get; set; }
    public bool Frozen { get; set; }
    public bool Throttled { get; set; }
    public bool Writes => Runs && !Frozen;
}
