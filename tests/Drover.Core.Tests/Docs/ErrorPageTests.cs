using System.Text.RegularExpressions;
using Xunit;

namespace Drover.Core.Tests.Docs;

/// <summary>Keeps the operator's pages honest: what the product says is on one of them, and what docs/errors.md names is still said.</summary>
public sealed partial class ErrorPageTests
{
    /// <summary>What a pattern must have at least besides its gaps, so that it does not fit everything.</summary>
    private const int LeastWords = 9;
    internal static readonly string Root = FindRoot();

    /// <summary>Files whose messages are on no page one by one, and why.</summary>
    private static readonly (string Path, string Why)[] LeftOut =
    [
        ("Drover.Cli/Lab/", "the lab is for trying out and for tests: each of its messages says what to do, and docs/lab.md has what goes wrong"),
        ("Drover.Cli/Commands/Lab/", "as above"),
        ("Drover.Agent/Volumes/Zfs/", "what `zfs` and `zpool` do not do is told in their own words, each with the command that helps"),
        ("Drover.Agent/Volumes/Trees/TreeReceiver.cs", "parts of one sentence, `record N … <this>`: docs/volumes.md has it as a whole"),
        ("Drover.Agent/Volumes/Trees/TreeRecordReader.cs", "as above"),
    ];

    /// <summary>Messages that are on no page, and why.</summary>
    private static readonly Dictionary<string, string> Exempt = new()
    {
        ["take follows ready"] = "a fault of the program",
        ["a create request is made with its host part"] = "a fault of the program",
        ["the server does not listen yet"] = "a fault of the program",
        ["step … is not one of a volume"] = "a fault of the program",
        ["stream '…' is open already"] = "a fault of the program",
        ["step '…' is already under way: whoever began it waits for its result"] = "a fault of the program",
        ["This watch of '…' fell more than … events behind. Watch again: it begins with everything there is."] = "a fault of the program: whoever watches does so by itself",
        ["the second greeting is about something else"] = "said to a sender that breaks the protocol, which none of ours does",
        ["identity refused"] = "a word of the audit log's column, the reason stands beside it",
        ["transfer to …"] = "a word of the audit log's column, the reason stands beside it",
        ["volume '…': …"] = "puts a name before another message",
        ["drover: …"] = "puts a name before another message",
        ["name '…': …"] = "puts the field before the rule for names",
        ["move … is …: …"] = "what the move says of its own end follows, and that is on the page",
        ["node '…' …"] = "filled with `is not connected` or `to come back`, which the page has",
        ["node '…' is …"] = "filled with `cordoned` or `not connected`, which the page has",
        ["…; …"] = "a refusal and its remedy, which are on the page",
        ["…: …"] = "puts a name before another message",
        ["…; this needs the role …"] = "puts the role behind another message",
        ["there is no"] = "how a refusal begins that is a 404",
        ["`…` did not start"] = "what .NET says when the kernel gave no reason",
    };

    [GeneratedRegex("(?<ticks>`+) ?(?<what>.+?) ?\\k<ticks>", RegexOptions.ExplicitCapture)]
    private static partial Regex Quoted();

    /// <summary>Gaps: `…`, and the names that stand for one, as 'X' and N.</summary>
    [GeneratedRegex("…|'[A-Z]'|\\b[A-Z]\\b")]
    private static partial Regex Gaps();

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Drover.slnx"))) return folder.FullName;
        throw new InvalidOperationException("these tests run from inside the repository: Drover.slnx was not found above them");
    }

    private static IEnumerable<(string Name, string Text)> Sources() =>
        Directory.EnumerateFiles(Path.Combine(Root, "src"), "*.cs", SearchOption.AllDirectories).Order(StringComparer.Ordinal).Select(f => (Path.GetRelativePath(Path.Combine(Root, "src"), f), File.ReadAllText(f)));

    /// <summary>What stands in backticks in the first column of a table.</summary>
    private static IEnumerable<string> Patterns(IEnumerable<string> lines) => lines.Where(l => l.StartsWith('|')).SelectMany(l => Quoted().Matches(l.Split('|')[1])).Select(m => m.Groups["what"].Value);

    private static string[] Pieces(string pattern) => [.. Gaps().Split(pattern).Select(p => p.Trim()).Where(p => p.Length > 0)];

    /// <summary>All pieces, in their order; or just this.</summary>
    private static bool Fits(string[] pieces, string message)
    {
        if (pieces is [var whole] && whole == message) return true;
        var at = 0;
        foreach (var piece in pieces)
        {
            if ((at = message.IndexOf(piece, at, StringComparison.Ordinal)) < 0) return false;
            at += piece.Length;
        }
        return pieces.Sum(p => p.Length) >= LeastWords;
    }

    [Fact]
    public void Every_message_is_on_an_operators_page()
    {
        var pages = Directory.EnumerateFiles(Path.Combine(Root, "docs"), "*.md").SelectMany(File.ReadLines);
        var patterns = Patterns(pages).Select(Pieces).ToList();
        var messages = Sources().Where(s => !LeftOut.Any(l => s.Name.StartsWith(l.Path, StringComparison.Ordinal))).SelectMany(s => SourceMessages.In(s.Name, s.Text).Concat(SourceMessages.WaitsIn(s.Name, s.Text))).ToList();
        Assert.True(messages.Count > 300, $"only {messages.Count} messages were found: the factories have other names now");
        var missing = messages.Where(m => !Exempt.ContainsKey(m.Text) && !patterns.Any(p => Fits(p, m.Text))).Select(m => $"{m.File}:{m.Line}: {m.Text}").Distinct().ToList();
        Assert.True(missing.Count == 0, $"Give each a row in docs/errors.md (or its own page): the message in backticks with … for what is filled in, what it means and what to do.\n{string.Join('\n', missing)}");
    }

    [Fact]
    public void Every_entry_of_the_page_is_still_said()
    {
        var said = Sources().SelectMany(s => SourceMessages.Literals(s.Text)).Distinct().ToList();
        var entries = Patterns(File.ReadLines(Path.Combine(Root, "docs/errors.md"))).ToList();
        Assert.True(entries.Count > 200);
        var stale = entries.Where(e => !said.Any(s => Fits(Pieces(e), s))).ToList();
        Assert.True(stale.Count == 0, $"docs/errors.md names what nothing says any more (or with fewer than {LeastWords} letters of its own):\n{string.Join('\n', stale)}");
    }

    [Fact]
    public void Every_exemption_is_still_needed()
    {
        var messages = Sources().SelectMany(s => SourceMessages.In(s.Name, s.Text).Concat(SourceMessages.WaitsIn(s.Name, s.Text))).Select(m => m.Text).ToHashSet();
        Assert.DoesNotContain(Exempt.Keys, e => !messages.Contains(e));
    }

    [Fact]
    public void A_message_is_read_with_its_gaps_whatever_it_is_filled_with()
    {
        const string source = """
            // throw new StepFailed("not said at all");
            throw new StepFailed(Kind.Retry, $"volume '{name}': {(x is { } y ? $"held by {y}" : "free {now}")} has {{braces}} and \"marks\"" + "more of it");
            return new(VolumeFault.NotNow, "name", "is one sentence", "its remedy");
            log.LogInformation("not of interest");
            return new("bare and not of interest");
            """;
        Assert.Equal(["volume '…': … has {braces} and \"marks\"", "is one sentence"], SourceMessages.In("x.cs", source).Select(m => m.Text));
        Assert.Equal(2, SourceMessages.In("x.cs", source).First().Line);
        Assert.True(Fits(Pieces("volume 'X': … has"), "volume '…': … has {braces}"));
        Assert.False(Fits(Pieces("has … volume"), "volume '…': … has {braces}"));
        Assert.False(Fits(Pieces("… is …"), "what is that"));
    }
}
