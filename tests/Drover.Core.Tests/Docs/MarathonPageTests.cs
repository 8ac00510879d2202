using System.Text.RegularExpressions;
using Xunit;

namespace Drover.Core.Tests.Docs;

/// <summary>Each row of docs/marathon.md names tests that exist.</summary>
public sealed partial class MarathonPageTests
{
    /// <summary>Where rows name nothing but tests: elsewhere a script may do.</summary>
    private const int LeastRows = 150;

    [Fact]
    public void Each_row_names_tests_that_exist()
    {
        var sources = Sources();
        var wrong = new List<string>();
        var rows = 0;
        foreach (var (row, tests) in Rows())
        {
            rows++;
            string? type = null;
            foreach (Match named in Name().Matches(tests))
            {
                if (named.Groups["type"].Value is { Length: > 0 } given) type = given;
                if (type is null || !sources.TryGetValue(type, out var source)) wrong.Add($"{row}: there is no class {type ?? named.Value}");
                else if (named.Groups["method"].Value is { Length: > 0 } method && !source.Contains($" {method}(", StringComparison.Ordinal)) wrong.Add($"{row}: {type} has no {method}");
            }
            if (type is null && !tests.Contains(".sh", StringComparison.Ordinal)) wrong.Add($"{row}: it names no test");
        }
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
        Assert.True(rows > LeastRows, $"{rows} rows were found");
    }

    /// <summary>First and last cell of each row of the tables that have a column of tests.</summary>
    private static IEnumerable<(string Row, string Tests)> Rows()
    {
        var tells = false;
        foreach (var line in File.ReadLines(Path.Combine(ErrorPageTests.Root, "docs/marathon.md")))
        {
            if (!line.StartsWith('|')) { tells = false; continue; }
            var cells = Border().Split(line)[1..^1];
            if (cells[^1].Trim() == "Tests") tells = true;
            else if (tells && !line.StartsWith("|---", StringComparison.Ordinal)) yield return (cells[0].Trim(), cells[^1]);
        }
    }

    /// <summary>Text of each test class; parts of one class together.</summary>
    private static Dictionary<string, string> Sources()
    {
        var sources = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var file in Directory.EnumerateFiles(Path.Combine(ErrorPageTests.Root, "tests"), "*Tests*.cs", SearchOption.AllDirectories).Where(f => !f.Contains("/obj/", StringComparison.Ordinal)))
        {
            var text = File.ReadAllText(file);
            foreach (Match declared in Declared().Matches(text)) sources[declared.Groups["type"].Value] = sources.GetValueOrDefault(declared.Groups["type"].Value) + text;
        }
        return sources;
    }

    [GeneratedRegex(@"(?<!\\)\|")]
    private static partial Regex Border();

    [GeneratedRegex(@"\bclass (?<type>\w+)", RegexOptions.ExplicitCapture)]
    private static partial Regex Declared();

    /// <summary>`SomeTests`, `SomeTests.A_method`, and after one of these `.A_method` or `A_method` alone.</summary>
    [GeneratedRegex(@"\b(?<type>[A-Z]\w*Tests)\b(\.(?<method>\w+))?|(?<![\w.])\.?(?<method>[A-Z][A-Za-z0-9]*_\w+)", RegexOptions.ExplicitCapture)]
    private static partial Regex Name();
}
