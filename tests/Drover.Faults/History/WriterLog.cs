using System.Globalization;

namespace Drover.Faults.History;

/// <summary>A write that its client was told is on disk.</summary>
public sealed record Ack(long Number, string Nonce, long Begun, long Done, string Run);

/// <summary>A time during which one run of the writer had the volume open for writing; nanoseconds of the machine's boot clock.</summary>
public sealed record OpenInterval(string Run, string Node, long From, long To);

/// <summary>What the writer told the outside, in the order it was told.</summary>
public sealed record WriterLog(IReadOnlyList<Ack> Acks, IReadOnlyList<OpenInterval> Opens)
{
    public static WriterLog Read(string file) => File.Exists(file) ? Parse(File.ReadLines(file)) : new([], []);

    /// <summary>A run that ended without a word (kill -9) was open at least until its last acknowledgement.</summary>
    public static WriterLog Parse(IEnumerable<string> lines)
    {
        var acks = new List<Ack>();
        var opens = new Dictionary<string, OpenInterval>(StringComparer.Ordinal);
        foreach (var words in lines.Select(l => l.Split(' ')))
        {
            switch (words)
            {
                case ["open", var run, var node, var at]:
                    opens[run] = new(run, node, Moment(at), Moment(at));
                    break;
                case ["ack", var number, var nonce, var begun, var done, var run]:
                    acks.Add(new(long.Parse(number, CultureInfo.InvariantCulture), nonce, Moment(begun), Moment(done), run));
                    Extend(opens, run, Moment(done));
                    break;
                case ["close", var run, var at]:
                    Extend(opens, run, Moment(at));
                    break;
                default: break; // the line being written just now
            }
        }
        return new(acks, [.. opens.Values]);
    }

    private static void Extend(Dictionary<string, OpenInterval> opens, string run, long to)
    {
        if (opens.TryGetValue(run, out var open)) opens[run] = open with { To = Math.Max(open.To, to) };
    }

    private static long Moment(string text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var at) ? at : 0;
}
