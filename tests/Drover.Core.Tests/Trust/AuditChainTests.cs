using Drover.Core.Trust;
using Xunit;

namespace Drover.Core.Tests.Trust;

public sealed class AuditChainTests
{
    private static readonly DateTimeOffset At = new(2026, 1, 5, 12, 0, 0, TimeSpan.Zero);

    private static (List<string> Lines, AuditHead Head) Log(int count)
    {
        var (lines, head) = (new List<string>(), AuditHead.Empty);
        for (var i = 1; i <= count; i++)
        {
            (var line, head) = AuditChain.Write(new(i, At.AddSeconds(i), "ann", "admin", "10.0.0.9", $"POST /v2/apps/{i}", "201", "with \"quotes\", a\nnew line and ü", head.Hash));
            lines.Add(line);
        }
        return (lines, head);
    }

    [Fact]
    public void What_was_written_is_read_and_verified()
    {
        var (lines, head) = Log(5);
        var verdict = AuditChain.Verify(lines, head);
        Assert.Equal((null, 5L, head.Hash), (verdict.Fault, verdict.Lines, verdict.Head));
        var read = AuditChain.Read(lines[2])!.Value.Entry;
        Assert.Equal((3L, "ann", "POST /v2/apps/3", "with \"quotes\", a\nnew line and ü"), (read.Sequence, read.Who, read.What, read.Detail));
        Assert.All(lines, l => Assert.DoesNotContain('\n', l));
    }

    [Fact]
    public void Every_single_changed_character_is_found_where_it_is()
    {
        var (lines, head) = Log(3);
        for (var at = 0; at < lines[1].Length; at++)
        {
            List<string> changed = [lines[0], lines[1][..at] + (char)(lines[1][at] ^ 1) + lines[1][(at + 1)..], lines[2]];
            Assert.Equal(2, AuditChain.Verify(changed, head).Line);
        }
    }

    [Theory]
    [InlineData("1 3 4 5", 2, "removed")]
    [InlineData("2 3 4 5", 1, "removed")]
    [InlineData("1 3 2 4 5", 2, "moved to a later place")]
    [InlineData("1 2 2 3 4 5", 3, "moved or repeated")]
    [InlineData("1 2 3 4", 5, "1 were cut off the end")]
    [InlineData("", 1, "5 were cut off the end")]
    public void What_was_removed_moved_or_repeated_is_named(string order, int line, string words)
    {
        var (lines, head) = Log(5);
        var verdict = AuditChain.Verify(order.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(n => lines[n[0] - '1']), head);
        Assert.Equal(line, verdict.Line);
        Assert.Contains(words, verdict.Fault, StringComparison.Ordinal);
    }

    [Fact]
    public void A_line_written_anew_with_a_hash_of_its_own_does_not_fit_the_next()
    {
        var (lines, head) = Log(3);
        var second = AuditChain.Read(lines[1])!.Value.Entry;
        lines[1] = AuditChain.Write(second with { Who = "nobody" }).Line;
        var verdict = AuditChain.Verify(lines, head);
        Assert.Equal(3, verdict.Line);
        Assert.Contains("written anew", verdict.Fault, StringComparison.Ordinal);
    }

    [Fact]
    public void A_log_written_anew_as_a_whole_is_not_the_one_that_is_remembered()
    {
        var (_, head) = Log(3);
        var (others, previous) = (new List<string>(), AuditHead.Empty.Hash);
        for (var i = 1; i <= 3; i++)
        {
            var (line, next) = AuditChain.Write(new(i, At, "eve", "admin", "", "nothing", "200", "", previous));
            others.Add(line);
            previous = next.Hash;
        }
        Assert.Null(AuditChain.Verify(others, null).Fault);
        Assert.Equal(3, AuditChain.Verify(others, head).Line);
    }
}
