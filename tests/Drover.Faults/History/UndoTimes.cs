using System.Globalization;

namespace Drover.Faults.History;

/// <summary>What happened around a move that was undone, in nanoseconds of the machine's boot clock.</summary>
/// <param name="Struck">The fault.</param>
/// <param name="Seen">The control plane shows that something is wrong; null: it never did.</param>
/// <param name="Ended">The move was undone.</param>
/// <param name="Passed">The fault had passed; null: it did not hit the source, which needs nobody's leave to serve.</param>
public sealed record UndoMoments(long Struck, long? Seen, long Ended, long? Passed);

/// <summary>How soon a move that was undone was found to fail, and how soon its source served again. Pure.</summary>
/// <param name="Detection">From the fault to the first sign of it.</param>
/// <param name="Again">From that sign (or from the end of a fault that hit the source itself) until acknowledgements came again without a break; zero: they never stopped.</param>
public sealed record UndoTimes(TimeSpan Detection, TimeSpan Again)
{
    /// <summary>Longer between two acknowledgements: the writer did not serve.</summary>
    private const long Break = 500_000_000;

    /// <summary>Null: nothing showed the fault before the move was over, or the writer has not written since.</summary>
    public static UndoTimes? Of(UndoMoments moments, IReadOnlyList<Ack> acks)
    {
        if (moments.Seen is not { } seen) return null;
        var since = Math.Max(seen, moments.Passed ?? 0);
        long? again = null;
        for (var i = 1; i < acks.Count; i++)
            if (acks[i].Done > since && acks[i].Done - acks[i - 1].Done > Break) again = acks[i].Done;
        if (acks.Count == 0 || acks[^1].Done < since) return null;
        return new(Span(Math.Max(0, seen - moments.Struck)), Span(again is { } at ? at - since : 0));
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"seen after {Detection.TotalSeconds:0.0} s, serving {(Again == TimeSpan.Zero ? "all along" : $"{Again.TotalSeconds:0.0} s later")}");

    private static TimeSpan Span(long nanoseconds) => TimeSpan.FromTicks(nanoseconds / TimeSpan.NanosecondsPerTick);
}

/// <summary>The times of all moves of a run that were undone.</summary>
public sealed class UndoTally
{
    private readonly List<(string Name, UndoTimes Times)> _all = [];

    public void Add(string name, UndoTimes times) => _all.Add((name, times));

    public string Line()
    {
        if (_all.Count == 0) return "undo: no move was undone";
        var slowest = _all.MaxBy(a => a.Times.Again);
        var latest = _all.MaxBy(a => a.Times.Detection);
        return string.Create(CultureInfo.InvariantCulture,
            $"undo: source serving again after detection: median {Median(a => a.Again):0.0} s, max {slowest.Times.Again.TotalSeconds:0.0} s ({slowest.Name}); detection median {Median(a => a.Detection):0.0} s, max {latest.Times.Detection.TotalSeconds:0.0} s ({latest.Name}); {_all.Count} moves undone");
    }

    private double Median(Func<UndoTimes, TimeSpan> of) => _all.Select(a => of(a.Times).TotalSeconds).Order().ElementAt(_all.Count / 2);
}
