using Drover.Core;

namespace Drover.ControlPlane.Marathon;

/// <summary>Ids of groups as Marathon writes them: paths as those of apps, and `/` for the root.</summary>
public static class GroupIds
{
    /// <summary>The id, or the reason why the text is none.</summary>
    public static (GroupId? Id, string? Fault) Parse(string text)
    {
        if (text.Split('/', StringSplitOptions.RemoveEmptyEntries).Length == 0) return (GroupId.Root, null);
        var (id, fault) = AppIds.Parse(text);
        return id is { } path ? (new GroupId(path.Value), null) : (null, fault);
    }

    /// <summary>The whole path of a text that may be relative: `db` and `../base` in `/shop` are `/shop/db` and `/base`.</summary>
    public static string Whole(string text, GroupId within)
    {
        var path = new List<string>();
        foreach (var segment in (text.StartsWith('/') ? text : within.Prefix + text).Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (segment == "..") path.RemoveRange(Math.Max(0, path.Count - 1), Math.Min(1, path.Count));
            else if (segment != ".") path.Add(segment);
        }
        return "/" + string.Join('/', path);
    }

    public static string NotChild(GroupId parent) => $"Identifier is not child of '{parent}'; write it relative to that, such as \"db\"";
}
