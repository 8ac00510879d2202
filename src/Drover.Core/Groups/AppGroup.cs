namespace Drover.Core.Groups;

/// <summary>A group that was made explicitly: it stays when no app is in it.</summary>
/// <param name="Version">When it last was changed itself.</param>
/// <param name="Dependencies">Paths of apps or groups; all apps in this group depend on them.</param>
/// <param name="EnforceRole">Kept and shown; only a top-level group has it.</param>
public sealed record AppGroup(GroupId Id, DateTimeOffset Version, EquatableList<AppId> Dependencies, bool EnforceRole);
