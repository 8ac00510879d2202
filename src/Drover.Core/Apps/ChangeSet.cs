using System.Collections.Immutable;
using Drover.Core.Groups;

namespace Drover.Core.Apps;

/// <summary>What a request wants of apps and groups, all at once. What it does not name stays.</summary>
public sealed record ChangeSet
{
    /// <summary>Specs as they are to be, of new apps and of known ones.</summary>
    public ImmutableArray<AppSpec> Put { get; init; } = [];
    public ImmutableArray<AppId> Remove { get; init; } = [];
    /// <summary>Of those put: replace the copies though nothing changed.</summary>
    public ImmutableHashSet<AppId> Restart { get; init; } = [];
    public ImmutableArray<AppGroup> Groups { get; init; } = [];
    public ImmutableArray<GroupId> RemoveGroups { get; init; } = [];
    /// <summary>Group the request is about, for the event; null: it is about apps.</summary>
    public GroupId? About { get; init; }
    /// <summary>False: the specs stood before and only shrink. Nothing about them is judged again.</summary>
    public bool Judged { get; init; } = true;
}
