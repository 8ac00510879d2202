using System.Globalization;

namespace Drover.Core.Trust;

/// <param name="Name">Of the file.</param>
public sealed record AuditSegment(string Name, IEnumerable<string> Lines);

/// <summary>The files of one audit log: `audit.jsonl`, which is written, and `audit-NNNNNNNNNNNN.jsonl`, which were, each named by the number of its last entry. The chain goes on from file to file: the first entry of each names
/// the last hash of the one before, so they are verified as one.</summary>
public static class AuditSegments
{
    public const string Current = "audit.jsonl";
    private const string Before = "audit-", After = ".jsonl";

    /// <param name="last">Number of its last entry.</param>
    public static string NameOf(long last) => string.Create(CultureInfo.InvariantCulture, $"{Before}{last:D12}{After}");

    /// <summary>The log's files among these names, the oldest first; others are none of it.</summary>
    public static IReadOnlyList<string> InOrder(IEnumerable<string> names)
    {
        var known = names.Select(n => (Name: n, Last: LastOf(n))).Where(n => n.Last is not null);
        return [.. known.OrderBy(n => n.Last).Select(n => n.Name)];
    }

    private static long? LastOf(string name)
    {
        if (name == Current) return long.MaxValue;
        return name.StartsWith(Before, StringComparison.Ordinal) && name.EndsWith(After, StringComparison.Ordinal) && name.Length > Before.Length + After.Length
            && long.TryParse(name[Before.Length..^After.Length], NumberStyles.None, CultureInfo.InvariantCulture, out var last) ? last : null;
    }

    /// <summary>As <see cref="AuditChain.Verify"/>, and names the file where the fault shows.</summary>
    public static AuditVerdict Verify(IEnumerable<AuditSegment> segments, AuditHead? head)
    {
        var (name, line, ended) = (Current, 0L, false);
        var verdict = AuditChain.Verify(All(), head);
        // What was cut off the end would be the next line of the last file.
        return verdict.Fault is null ? verdict : verdict with { File = name, LineOfFile = ended ? line + 1 : line };

        IEnumerable<string> All()
        {
            foreach (var segment in segments)
            {
                (name, line) = (segment.Name, 0);
                foreach (var one in segment.Lines)
                {
                    line++;
                    yield return one;
                }
            }
            ended = true;
        }
    }
}
