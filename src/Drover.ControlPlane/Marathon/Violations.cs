using System.Collections.Immutable;

namespace Drover.ControlPlane.Marathon;

/// <summary>One fault of an input: where (Marathon's path form, `/a/b(0)/c`), what, and what to do instead.</summary>
public sealed record Violation(string Path, ImmutableArray<string> Errors);

/// <summary>Faults of one input, collected so that all of them are told at once. Bounded: after <see cref="Limit"/> the rest is dropped.</summary>
public sealed class Violations
{
    public const int Limit = 100;
    private readonly List<Violation> _types = [];
    private readonly List<Violation> _rules = [];

    /// <summary>The value has the wrong JSON type. <paramref name="code"/> is the one Marathon's clients know (`error.expected.jsstring`).</summary>
    public void WrongType(string path, string code, string remedy) => Add(_types, path, [code, remedy]);

    /// <summary>The type is right, the value is not.</summary>
    public void Rule(string path, string message) => Add(_rules, path, [message]);

    public bool Any => _types.Count + _rules.Count > 0;

    /// <summary>Wrong types hide rules: a rule judged on a default in the place of a wrong value would mislead.</summary>
    public bool TypesAreWrong => _types.Count > 0;

    public ImmutableArray<Violation> Told => [.. TypesAreWrong ? _types : _rules];

    private static void Add(List<Violation> list, string path, ImmutableArray<string> errors)
    {
        if (list.Count < Limit) list.Add(new(path.Length == 0 ? "/" : path, errors));
    }
}
