using System.Text;
using Drover.Core;
using Drover.Core.Apps;

namespace Drover.ControlPlane.Marathon;

/// <summary>`a`, `a==b`, `a!=b`, `a in (x,y)`, `a notin (x,y)`, joined by commas, all of which must hold. Each needs the label to exist, those that deny too.</summary>
/// <remarks>Names and values are of `[-A-Za-z0-9_.]`; any other character comes behind a backslash.</remarks>
public sealed class LabelSelector
{
    private readonly List<Term> _terms = [];

    private LabelSelector() { }

    private sealed record Term(string Key, bool Wanted, HashSet<string>? Values);

    /// <summary>null: the text is no selector.</summary>
    public static LabelSelector? Parse(string text)
    {
        var selector = new LabelSelector();
        var reader = new Reader(text);
        do
        {
            if (One(reader) is not { } term) return null;
            selector._terms.Add(term);
        }
        while (reader.Take(","));
        return reader.AtEnd ? selector : null;
    }

    public bool Matches(EquatableList<Label> labels) => _terms.TrueForAll(term =>
        labels.Items.FirstOrDefault(l => l.Name == term.Key) is { } label && (term.Values is null || term.Values.Contains(label.Value) == term.Wanted));

    private static Term? One(Reader reader)
    {
        if (reader.Word() is not { } key) return null;
        if (reader.Take("==")) return reader.Word() is { } value ? new(key, true, [value]) : null;
        if (reader.Take("!=")) return reader.Word() is { } value ? new(key, false, [value]) : null;
        var wanted = true;
        if (reader.Keyword("notin")) wanted = false;
        else if (!reader.Keyword("in")) return new(key, true, null);
        return Set(reader) is { } values ? new(key, wanted, values) : null;
    }

    private static HashSet<string>? Set(Reader reader)
    {
        if (!reader.Take("(")) return null;
        var values = new HashSet<string>(StringComparer.Ordinal);
        do
        {
            if (reader.Word() is not { } value) return null;
            values.Add(value);
        }
        while (reader.Take(","));
        return reader.Take(")") ? values : null;
    }

    private sealed class Reader(string text)
    {
        private int _at;

        public bool AtEnd => Skip() == text.Length;

        /// <summary>Takes this mark where it stands next.</summary>
        public bool Take(string mark)
        {
            if (string.CompareOrdinal(text, Skip(), mark, 0, mark.Length) != 0) return false;
            _at += mark.Length;
            return true;
        }

        /// <summary>As <see cref="Take"/>, a whole word: `inner` does not begin with `in`.</summary>
        public bool Keyword(string word)
        {
            var before = Skip();
            if (Take(word) && (_at == text.Length || !IsPlain(text[_at]))) return true;
            _at = before;
            return false;
        }

        /// <summary>A name or value with its escapes undone; null: none is here.</summary>
        public string? Word()
        {
            var word = new StringBuilder();
            for (Skip(); _at < text.Length; _at++)
            {
                if (IsPlain(text[_at])) word.Append(text[_at]);
                else if (text[_at] == '\\' && _at + 1 < text.Length) word.Append(text[++_at]);
                else break;
            }
            return word.Length > 0 ? word.ToString() : null;
        }

        private int Skip()
        {
            while (_at < text.Length && char.IsWhiteSpace(text[_at])) _at++;
            return _at;
        }

        private static bool IsPlain(char c) => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.';
    }
}
