namespace Drover.Faults.History;

/// <param name="Lost">Acknowledged, and not in the data.</param>
/// <param name="Twice">In the data more than once, or a number acknowledged for two different records.</param>
/// <param name="OutOfOrder">In the data before one that was acknowledged earlier.</param>
public sealed record HistoryVerdict(int Lost, int Twice, int OutOfOrder)
{
    public bool Good => this is { Lost: 0, Twice: 0, OutOfOrder: 0 };
    public int Wrong => Lost + Twice + OutOfOrder;
}

/// <summary>Judges data by what its writer was promised. Pure.</summary>
public static class HistoryChecker
{
    /// <param name="acks">In the order they were given.</param>
    /// <param name="records">Lines `NUMBER NONCE` of one copy; more than was acknowledged is no fault.</param>
    public static HistoryVerdict Check(IReadOnlyList<Ack> acks, IReadOnlyList<string> records)
    {
        var places = new Dictionary<string, int>(records.Count, StringComparer.Ordinal);
        var twice = 0;
        for (var i = 0; i < records.Count; i++)
            if (!places.TryAdd(records[i], i)) twice++;
        var numbers = new HashSet<long>();
        int lost = 0, outOfOrder = 0, last = -1;
        foreach (var ack in acks)
        {
            if (!numbers.Add(ack.Number)) twice++;
            if (!places.TryGetValue($"{ack.Number} {ack.Nonce}", out var place)) { lost++; continue; }
            if (place < last) outOfOrder++;
            last = Math.Max(last, place);
        }
        return new(lost, twice, outOfOrder);
    }

    /// <summary>Pairs of runs that had the volume open for writing at the same time, wherever they ran.</summary>
    public static IReadOnlyList<(OpenInterval First, OpenInterval Second)> Together(IReadOnlyList<OpenInterval> opens)
    {
        var pairs = new List<(OpenInterval, OpenInterval)>();
        var open = new List<OpenInterval>();
        foreach (var next in opens.OrderBy(o => o.From))
        {
            open.RemoveAll(o => o.To <= next.From);
            pairs.AddRange(open.Select(o => (o, next)));
            open.Add(next);
        }
        return pairs;
    }

    /// <summary>Whether one of the copies holds every acknowledged record.</summary>
    public static bool SomeComplete(IReadOnlyList<Ack> acks, IEnumerable<IReadOnlyList<string>> copies) => copies.Any(c => Check(acks, c).Lost == 0);
}
