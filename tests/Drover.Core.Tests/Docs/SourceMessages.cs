using System.Text;
using System.Text.RegularExpressions;

namespace Drover.Core.Tests.Docs;

/// <param name="Text">With `…` for what is filled in.</param>
public sealed record SourceMessage(string File, int Line, string Text);

/// <summary>What the sources say to people: the first sentence of each call that refuses, fails or lets wait.</summary>
public static partial class SourceMessages
{
    [GeneratedRegex("""(?:\b(?<of>[A-Z][A-Za-z]*\.)?\b(?<call>MoveRefusal|Refused|Refuse|FieldError|StepFailed|RoundFailed|BaseUnusable|DockerParameterRefused|Conflict|Busy|Stale|Failed|ErrorView|Wrong|CommandFailure|PoolNearlyFull|OptionsInvalid|InvalidOperationException)|\bnew|\b(?:reasons|errors)\.Add)\((?<fault>VolumeFault|PromotionFault)?""", RegexOptions.ExplicitCapture)]
    private static partial Regex Calls();

    /// <summary>What something waits for.</summary>
    [GeneratedRegex("""\bWaitsFor = |\bWait\(|\bSay\(move, """)]
    private static partial Regex Waits();

    [GeneratedRegex("(?m)^\\s*//.*$")]
    private static partial Regex Comments();

    public static IEnumerable<SourceMessage> In(string file, string source)
    {
        var text = WithoutComments(source);
        foreach (Match call in Calls().Matches(text))
        {
            var (of, name) = (call.Groups["of"].Value, call.Groups["call"].Value);
            // A bare `new(` is of interest only where its first word says what it is.
            if (name.Length == 0 && !call.Groups["fault"].Success && !call.Value.Contains(".Add", StringComparison.Ordinal)) continue;
            if (name is "Conflict" or "Busy" or "Stale" && of != "VolumeOutcome." || name == "Failed" && of != "VolumeEvent.") continue;
            // One word is a name of a field or a kind, no sentence.
            if (LiteralsOfCall(text, call.Index + call.Length).FirstOrDefault(l => l.Trim().Contains(' ', StringComparison.Ordinal)) is { } said)
                yield return new(file, text.AsSpan(0, call.Index).Count('\n') + 1, said);
        }
    }

    public static IEnumerable<SourceMessage> WaitsIn(string file, string source)
    {
        var text = WithoutComments(source);
        return Waits().Matches(text).SelectMany(wait => LiteralsOfCall(text, wait.Index + wait.Length).Where(l => l.Trim().Contains(' ', StringComparison.Ordinal)).Take(1)
            .Select(said => new SourceMessage(file, text.AsSpan(0, wait.Index).Count('\n') + 1, said)));
    }

    public static IEnumerable<string> Literals(string source)
    {
        var text = WithoutComments(source);
        for (var at = text.IndexOf('"', StringComparison.Ordinal); at >= 0; at = at < text.Length ? text.IndexOf('"', at) : -1)
        {
            if (at > 0 && at + 1 < text.Length && text[at - 1] == '\'' && text[at + 1] == '\'') { at += 2; continue; }
            yield return Literal(text, ref at);
        }
    }

    private static string WithoutComments(string source) => Comments().Replace(source, "");

    private static IEnumerable<string> LiteralsOfCall(string text, int at)
    {
        for (var depth = 1; depth > 0 && at < text.Length;)
        {
            switch (text[at])
            {
                case '"': yield return Literal(text, ref at); continue;
                case '\'': at += text[at + 1] == '\\' ? 4 : 3; continue;
                case '(' or '[' or '{': depth++; break;
                case ')' or ']' or '}': depth--; break;
                case ';': yield break;
            }
            at++;
        }
    }

    /// <param name="at">At the quotation mark; behind the literal afterwards.</param>
    private static string Literal(string text, ref int at)
    {
        if (string.CompareOrdinal(text, at, "\"\"\"", 0, 3) == 0)
        {
            var begin = at + 3;
            var end = text.IndexOf("\"\"\"", begin, StringComparison.Ordinal);
            at = end + 3;
            return text[begin..end];
        }
        var filled = at > 0 && text[at - 1] == '$';
        var said = new StringBuilder();
        for (at++; text[at] != '"';)
        {
            var (c, next) = (text[at], text[at + 1]);
            if (c == '\\') { said.Append(next is 'n' or 't' ? ' ' : next); at += 2; }
            else if (filled && c == '{' && next != '{') { at = AfterHole(text, at + 1); said.Append('…'); }
            else { said.Append(c); at += filled && c is '{' or '}' && next == c ? 2 : 1; }
        }
        at++;
        return said.ToString();
    }

    private static int AfterHole(string text, int at)
    {
        for (var depth = 1; depth > 0;)
        {
            switch (text[at])
            {
                case '"': Literal(text, ref at); continue;
                case '\'': at += text[at + 1] == '\\' ? 4 : 3; continue;
                case '{': depth++; break;
                case '}': depth--; break;
            }
            at++;
        }
        return at;
    }
}
