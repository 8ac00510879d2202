using System.Text.RegularExpressions;
using Drover.Core;

namespace Drover.ControlPlane.Marathon;

/// <summary>Ids of apps as Marathon writes them: a path of lower-case segments, the leading slash optional on input.</summary>
public static partial class AppIds
{
    public const int MaxLength = 253;
    private static readonly HashSet<string> Reserved = ["restart", "tasks", "versions", ".", ".."];

    [GeneratedRegex(@"^(([a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9])\z")]
    private static partial Regex Segment();

    /// <summary>The id, or the reason why the text is none.</summary>
    public static (AppId? Id, string? Fault) Parse(string text)
    {
        var segments = text.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (segments.Length == 0) return (null, "must name an app, such as /shop/db; the root alone is a group");
        if (text.Length > MaxLength) return (null, $"must be at most {MaxLength} characters long; it has {text.Length}");
        foreach (var segment in segments)
        {
            if (!Segment().IsMatch(segment) && segment is not ("." or ".."))
                return (null, $"segment '{segment}' must consist of lower-case letters, digits and '-' (not first or last), parts joined by '.'; such as /shop/db-1");
        }
        if (segments.Any(s => s is "." or "..")) return (null, "must be the whole path, without '.' and '..'");
        if (Reserved.Contains(segments[^1])) return (null, $"must not end in '{segments[^1]}': the API uses that word behind an app's id");
        return (new AppId("/" + string.Join('/', segments)), null);
    }
}
