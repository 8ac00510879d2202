using System.Collections.Immutable;
using Drover.Core.Groups;
using Drover.Core.Networks;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.Core.Apps;

/// <summary>One request worked out app by app: each is judged on what those before it made of the state.</summary>
internal sealed class ChangeWork
{
    private readonly ClusterState _before;
    private readonly ChangeSet _set;
    private readonly bool _force;
    private readonly List<ClusterChange> _changes = [];
    private readonly List<PlannedChange> _planned = [];
    private readonly List<FieldError> _errors = [];
    private readonly List<(string Kind, AppId App, string Text)> _said = [];
    private readonly List<AppBefore> _apps = [];
    private readonly List<GroupBefore> _groups = [];

    public ChangeWork(ClusterState state, ChangeSet set, bool force, DateTimeOffset now)
    {
        (_before, _set, _force, After) = (state, set, force, state);
        Version = NextVersion(state, set, now);
        foreach (var id in set.Remove) Remove(id);
        foreach (var group in set.RemoveGroups) Group(group, null);
        foreach (var group in set.Groups) Group(group.Id, group);
        foreach (var spec in set.Put) Put(spec, now);
    }

    public ClusterState After { get; private set; }
    /// <summary>Of every app and group that changes.</summary>
    public DateTimeOffset Version { get; }
    /// <summary>Version of what was put and is so already.</summary>
    public DateTimeOffset? Unchanged { get; private set; }
    public IReadOnlyList<ClusterChange> Changes => _changes;
    public IReadOnlyList<PlannedChange> Planned => _planned;
    public EquatableList<AppBefore> Before => _apps.ToEquatableList();
    public EquatableList<GroupBefore> GroupsBefore => _groups.ToEquatableList();

    public EquatableList<FieldError>? Refused() => _errors.Count == 0 ? null : _errors.ToEquatableList();

    /// <summary>Deployments that work on what changes, oldest first.</summary>
    public IEnumerable<Deployment> Conflicts() =>
        _planned.SelectMany(p => _before.DeploymentsOf(p.App)).DistinctBy(d => d.Id).OrderBy(d => d.StartedAt).ThenBy(d => d.Id.Value, StringComparer.Ordinal);

    /// <summary>What those deployments had still to do for other apps: it is not left half done.</summary>
    public IEnumerable<PlannedChange> LeftBy(IEnumerable<Deployment> cancelled)
    {
        var own = _planned.Select(p => p.App).ToHashSet();
        foreach (var app in cancelled.SelectMany(d => d.Steps.Skip(d.CurrentStep)).SelectMany(s => s.Actions.Items).Select(a => a.App).Distinct())
        {
            if (own.Contains(app)) continue;
            var spec = After.Apps.GetValueOrDefault(app)?.Spec;
            yield return new(app, spec ?? new AppSpec { Id = app }, spec, Restart: true);
        }
    }

    /// <summary>Looked for where dependencies can have changed.</summary>
    public EquatableList<AppId>? Circle() => !_set.Judged ? null : new Dependencies(After).Circle(
        _planned.Where(p => p.After is not null).Select(p => p.App)
            .Concat(_groups.SelectMany(g => GroupTree.AppsUnder(After, g.Group)).Select(a => a.Id)));

    public IEnumerable<ClusterEvent> Events(DeploymentId id)
    {
        foreach (var (kind, app, text) in _said) yield return new ClusterEvent(kind, app.Value, text) { App = app, Deployment = id };
        if (_set.About is { } group) yield return new ClusterEvent("group.changed", group.Value, $"group {group} was changed") { Deployment = id };
    }

    private void Remove(AppId id)
    {
        var known = _before.Apps[id];
        _planned.Add(new(id, known.Spec, null));
        _apps.Add(new(id, known.Version));
        _said.Add(("app.deleted", id, $"{id} was deleted; its volumes stay"));
        Take(new ClusterChange.PutFormerApp(VersionHistory.Former(known, Version)), new ClusterChange.RemoveApp(id));
    }

    private void Group(GroupId id, AppGroup? wanted)
    {
        var was = _before.Groups.GetValueOrDefault(id);
        if (wanted is not null && was is not null && (was.Dependencies, was.EnforceRole) == (wanted.Dependencies, wanted.EnforceRole)) return;
        if (wanted is null && was is null) return;
        for (var path = id; wanted is not null && was is null && !path.IsRoot; path = path.Parent)
        {
            if (After.Apps.ContainsKey(new AppId(path.Value))) _errors.Add(new FieldError("/id", $"'{path}' is an app: no group can be at its path or under it; choose another id"));
        }
        _groups.Add(new(id, was));
        Take(wanted is null ? new ClusterChange.RemoveGroup(id) : new ClusterChange.PutGroup(wanted with { Version = Version }));
    }

    private void Put(AppSpec asked, DateTimeOffset now)
    {
        var before = _before.Apps.GetValueOrDefault(asked.Id);
        if (_set.Judged && Judge(asked)) return;
        var spec = ServicePorts.Assign(After, asked) ?? asked;
        if (before is null) Create(spec);
        else if (!Update(before, spec)) return;
        Take([.. VolumeClaims.Claim(After, spec, now, before?.Spec), .. Addressing.Lease(After, spec, now)]);
    }

    private void Create(AppSpec spec)
    {
        // By force on top of its own deletion: copies that still run have the old configuration.
        var left = _before.InstancesOf(spec.Id).Any(i => i.Goal == InstanceGoal.Running);
        _planned.Add(new(spec.Id, left ? spec : null, spec, Restart: left));
        _apps.Add(new(spec.Id, null));
        _said.Add(("app.created", spec.Id, $"{spec.Id} was created"));
        Take(new ClusterChange.PutApp(new App(spec, Version, Version, Version)));
    }

    private bool Update(App before, AppSpec spec)
    {
        var restart = _set.Restart.Contains(spec.Id);
        var changed = restart || !spec.SameConfiguration(before.Spec);
        var scaled = spec.Instances != before.Spec.Instances;
        // By force on top of an unfinished change: what was not reached yet is still to be reached. A group's request leaves alone what it does not change.
        var unfinished = _force && _before.DeploymentOf(spec.Id) is not null;
        if (!changed && !scaled && !(unfinished && _set.About is null))
        {
            Unchanged = Unchanged > before.Version ? Unchanged : before.Version;
            return false;
        }
        _planned.Add(new(spec.Id, before.Spec, spec, changed || unfinished));
        _apps.Add(new(spec.Id, before.Version));
        _said.Add(("app.changed", spec.Id, $"{spec.Id} was {(restart ? "restarted" : changed ? "changed" : $"scaled to {spec.Instances}")}"));
        Take(new ClusterChange.PutApp(before with
        {
            Spec = spec, Version = Version,
            LastScalingAt = scaled ? Version : before.LastScalingAt,
            LastConfigChangeAt = changed ? Version : before.LastConfigChangeAt,
            Delay = changed ? null : before.Delay,
        }));
        return true;
    }

    /// <summary>True: it cannot be, and is noted.</summary>
    private bool Judge(AppSpec spec)
    {
        var errors = new List<FieldError>();
        for (var i = 0; i < spec.Constraints.Count; i++)
        {
            if (Constraints.Problem(spec.Constraints[i]) is { } problem) errors.Add(new FieldError($"/constraints({i})", problem));
        }
        if (!_before.Apps.ContainsKey(spec.Id)) errors.AddRange(PathTaken(spec.Id));
        errors.AddRange(VolumeClaims.Refusals(After, spec));
        if (_before.Apps.TryGetValue(spec.Id, out var resident)) errors.AddRange(VolumeClaims.Changes(resident.Spec, spec));
        if (spec.Instances > 1 && spec.Volumes.Length > 0)
        {
            errors.Add(new FieldError("/instances", $"an app with a volume has at most one instance, not {spec.Instances}: its data is on one node"));
        }
        if (Addressing.Refusal(After, spec) is { } refusal) errors.Add(refusal);
        errors.AddRange(ServicePorts.Conflicts(After, spec));
        if (errors.Count == 0 && ServicePorts.Assign(After, spec) is null)
        {
            errors.Add(new FieldError("/", $"all service ports from {ServicePorts.First} to {ServicePorts.Last} are taken: delete an app, or name the ports"));
        }
        _errors.AddRange(errors.Select(e => e with { App = spec.Id }));
        return errors.Count > 0;
    }

    private IEnumerable<FieldError> PathTaken(AppId id)
    {
        if (GroupTree.Exists(After, new GroupId(id.Value))) yield return new FieldError("/id", $"'{id}' is a group: a group and an app cannot have the same path; choose another id");
        for (var group = GroupId.ParentOf(id.Value); !group.IsRoot; group = group.Parent)
        {
            if (After.Apps.ContainsKey(new AppId(group.Value))) yield return new FieldError("/id", $"'{group}' is an app: nothing can be under its path; choose another id");
        }
    }

    private void Take(params ClusterChange[] changes)
    {
        _changes.AddRange(changes);
        foreach (var change in changes) After = After.Apply(change);
    }

    /// <summary>Versions have milliseconds, and each is later than any before it of the same app or group.</summary>
    private static DateTimeOffset NextVersion(ClusterState state, ChangeSet set, DateTimeOffset now)
    {
        var version = DateTimeOffset.FromUnixTimeMilliseconds(now.ToUnixTimeMilliseconds());
        foreach (var id in set.Put.Select(s => s.Id).Concat(set.Remove))
        {
            if (state.Apps.TryGetValue(id, out var app)) version = Later(version, app.Version);
            if (state.Versions.TryGetValue(id, out var history)) version = Later(version, history.Keys.Last());
        }
        foreach (var id in set.Groups.Select(g => g.Id)) if (state.Groups.TryGetValue(id, out var group)) version = Later(version, group.Version);
        return version;
    }

    private static DateTimeOffset Later(DateTimeOffset version, DateTimeOffset than) => version <= than ? than.AddMilliseconds(1) : version;
}
