using System.Collections.Immutable;
using System.Text.Json;
using Drover.Core;
using Drover.Core.Apps;

namespace Drover.ControlPlane.Marathon;

/// <summary>What an app definition came to: a spec, or faults.</summary>
/// <param name="TypesAreWrong">True: the faults are of JSON type ("Invalid JSON"); false: of value ("Object is not valid").</param>
public sealed record AppReading(AppSpec? Spec, ImmutableArray<Violation> Faults, bool TypesAreWrong);

/// <summary>Reads Marathon's app definition in both dialects: 2015's (`container.docker.network`, `docker.portMappings`, `ports`, `"cmd": ""`) and 1.5 to 1.10's.
/// Unknown fields are ignored, as Marathon ignores them; fields it knows and Drover cannot honour are refused by name.</summary>
/// <remarks>Sources: Marathon's RAML types app.raml, appUpdate.raml; `AppDefinition.json` of v0.8.2.</remarks>
public static class AppJson
{
    public const int MaxInstances = 50_000;
    private const double MostOfAnything = 1e12;

    /// <param name="body">A JSON object.</param>
    /// <param name="id">Id the URL names; null: the body must.</param>
    /// <param name="start">Spec whose fields stand where the body is silent; null: defaults.</param>
    /// <param name="within">Group the definition stands in: its id is relative to that, or names an app right in it.</param>
    public static AppReading Read(JsonElement body, AppId? id, AppSpec? start, GroupId? within = null)
    {
        var faults = new Violations();
        var fields = new JsonFields(body, "", faults);
        RefuseWhatIsNotDone(fields);
        var app = Id(fields, id, within) ?? id ?? new AppId("/unnamed");
        var basis = (start ?? new AppSpec { Id = app }) with { Id = app };
        var spec = Plain(fields, basis);
        spec = Command(fields, spec);
        spec = spec with
        {
            Env = fields.Map("env", "secrets are not kept here; give the value as a string")?.Select(e => new EnvVar(e.Key, e.Value)).ToEquatableList() ?? spec.Env,
            Labels = fields.Map("labels", "must be a string")?.Select(l => new Label(l.Key, l.Value)).ToEquatableList() ?? spec.Labels,
            Constraints = ConstraintJson.Read(fields) ?? spec.Constraints,
        };
        spec = ContainerJson.Read(fields, spec);
        spec = NeighbourJson.Read(fields, spec);
        spec = spec with { HealthChecks = HealthJson.Read(fields, spec) ?? spec.HealthChecks, ReadinessChecks = ReadinessJson.Read(fields, spec) ?? spec.ReadinessChecks };
        spec = Strategies(fields, spec, isNew: start is null);
        AppRules.Check(fields, spec);
        return faults.Any ? new(null, faults.Told, faults.TypesAreWrong) : new(spec, [], false);
    }

    private static AppId? Id(JsonFields fields, AppId? fromUrl, GroupId? within)
    {
        if (fields.String("id") is not { } text)
        {
            if (fromUrl is null && !fields.Has("id")) fields.Violations.WrongType("/id", "error.path.missing", "must be given, such as \"id\": \"/mongo\"");
            return null;
        }
        var (id, fault) = AppIds.Parse(within is { } group ? GroupIds.Whole(text, group) : text);
        if (fault is not null) fields.Violations.Rule("/id", fault);
        else if (within is { } parent && GroupId.ParentOf(id!.Value.Value) != parent) fields.Violations.Rule("/id", GroupIds.NotChild(parent));
        else if (fromUrl is not null && id != fromUrl) fields.Violations.Rule("/id", $"names {id} while the URL names {fromUrl}; leave it out or make them equal");
        return id;
    }

    private static AppSpec Plain(JsonFields fields, AppSpec basis)
    {
        var selection = fields.String("killSelection");
        if (selection is not (null or "YOUNGEST_FIRST" or "OLDEST_FIRST")) fields.Violations.Rule("/killSelection", "must be YOUNGEST_FIRST or OLDEST_FIRST");
        return basis with
        {
            Cpus = Amount(fields, "cpus", 0.001) ?? basis.Cpus,
            MemoryMiB = Amount(fields, "mem", 0) ?? basis.MemoryMiB,
            DiskMiB = Amount(fields, "disk", 0) ?? basis.DiskMiB,
            Gpus = Amount(fields, "gpus", 0) ?? basis.Gpus,
            Instances = Whole(fields, "instances", 0, MaxInstances) ?? basis.Instances,
            Executor = fields.String("executor") ?? basis.Executor,
            Tty = fields.Boolean("tty") ?? basis.Tty,
            Limits = Limits(fields) ?? basis.Limits,
            User = fields.String("user") ?? basis.User,
            RequirePorts = fields.Boolean("requirePorts") ?? basis.RequirePorts,
            KillSelection = selection switch { "OLDEST_FIRST" => KillSelection.OldestFirst, "YOUNGEST_FIRST" => KillSelection.YoungestFirst, _ => basis.KillSelection },
            KillGrace = Seconds(fields, "taskKillGracePeriodSeconds") ?? basis.KillGrace,
            Backoff = new(Seconds(fields, "backoffSeconds") ?? basis.Backoff.Initial, Amount(fields, "backoffFactor", 1) ?? basis.Backoff.Factor,
                Seconds(fields, "maxLaunchDelaySeconds") ?? basis.Backoff.Max),
            AcceptedRoles = fields.Strings("acceptedResourceRoles") ?? basis.AcceptedRoles,
            Role = fields.String("role") ?? basis.Role,
            Dependencies = Dependencies(fields, basis.Id) ?? basis.Dependencies,
        };
    }

    /// <summary>A name alone means a neighbour; one that begins with dots is taken from the app's own path, as Marathon does.</summary>
    private static EquatableList<AppId>? Dependencies(JsonFields fields, AppId app)
    {
        if (fields.Array("dependencies") is not { } items) return null;
        var ids = new List<AppId>(items.Count);
        foreach (var (value, path) in items)
        {
            if (JsonFields.StringOf(value, path, fields.Violations) is not { } text) continue;
            var (id, fault) = AppIds.Parse(text.StartsWith('.') ? GroupIds.Whole(text, new GroupId(app.Value)) : GroupIds.Whole(text, GroupId.ParentOf(app.Value)));
            if (id is { } known) ids.Add(known);
            else fields.Violations.Rule(path, fault!);
        }
        return ids.ToEquatableList();
    }

    /// <summary>`cmd` and `args` replace each other: naming one in an update takes the other away. An empty `cmd` means none (2015's UI sends it).</summary>
    private static AppSpec Command(JsonFields fields, AppSpec basis)
    {
        var command = fields.String("cmd");
        var args = fields.Strings("args");
        if (command is { Length: > 0 } && args is { Count: > 0 }) fields.Violations.Rule("/", "AppDefinition must either contain one of 'cmd' or 'args', not both; 'cmd' runs in a shell, 'args' do not");
        if (command is { Length: > 0 }) return basis with { Command = command, Args = [] };
        if (args is { Count: > 0 }) return basis with { Command = null, Args = args.Value };
        return basis with { Command = command is "" ? null : basis.Command, Args = args ?? basis.Args };
    }

    private static AppSpec Strategies(JsonFields fields, AppSpec basis, bool isNew)
    {
        // A copy of an app with a volume is never started beside the old one, nor elsewhere while its node is only silent: Marathon's defaults for resident apps.
        var pinned = basis.Volumes.Any(v => !v.ReadOnly);
        var single = basis.Labels.Any(l => l is { Name: "MARATHON_SINGLE_INSTANCE_APP", Value: "true" });
        var upgrade = single ? new(0, 0) : isNew && pinned ? new(0.5, 0) : Within(basis);
        if (fields.Object("upgradeStrategy") is { } given)
        {
            var usual = single || pinned ? upgrade : new(1, 1);
            upgrade = new(Fraction(given, "minimumHealthCapacity") ?? usual.MinimumHealthCapacity, Fraction(given, "maximumOverCapacity") ?? usual.MaximumOverCapacity);
        }
        return basis with { Residency = Residence(fields, basis), Upgrade = upgrade, Unreachable = Unreachable(fields, isNew && pinned ? null : basis.Unreachable) };
    }

    /// <summary>A volume that an app gets later brings Marathon's limits for it along, where the body does not say otherwise.</summary>
    private static UpgradeStrategy Within(AppSpec app)
    {
        var external = app.Volumes.Any(v => v.Naming == VolumeNaming.External && !v.ReadOnly);
        if (!external && !app.Volumes.Any(v => v.Persistent is not null)) return app.Upgrade;
        return new(external ? Math.Min(0.5, app.Upgrade.MinimumHealthCapacity) : app.Upgrade.MinimumHealthCapacity, 0);
    }

    private static ResourceLimits? Limits(JsonFields fields)
    {
        if (fields.Object("resourceLimits") is not { } given) return null;
        return new(Limit(given, "cpus"), Limit(given, "mem"));

        static double? Limit(JsonFields given, string name) =>
            given.Has(name) && given.Element.GetProperty(name) is { ValueKind: JsonValueKind.String } text && JsonFields.TextOf(text) == "unlimited" ? ResourceLimits.Unlimited : Amount(given, name, 0);
    }

    /// <summary>Once it said whether an app waits for ever for its lost node; it has had no effect since 1.9.</summary>
    private static Residency? Residence(JsonFields fields, AppSpec basis)
    {
        if (!basis.Volumes.Any(v => v.Persistent is not null))
        {
            if (fields.Object("residency") is not null) fields.Violations.Rule("/residency", "must be given together with a persistent volume only; take it out");
            return null;
        }
        var usual = basis.Residency ?? new(TimeSpan.FromSeconds(3600), "WAIT_FOREVER");
        if (fields.Object("residency") is not { } given) return usual;
        var loss = given.String("taskLostBehavior") ?? usual.OnLoss;
        if (loss is not ("WAIT_FOREVER" or "RELAUNCH_AFTER_TIMEOUT")) given.Violations.Rule(given.At("taskLostBehavior"), "must be WAIT_FOREVER or RELAUNCH_AFTER_TIMEOUT");
        return new(Seconds(given, "relaunchEscalationTimeoutSeconds") ?? usual.Escalation, loss);
    }

    private static UnreachableStrategy? Unreachable(JsonFields fields, UnreachableStrategy? basis)
    {
        if (!fields.Has("unreachableStrategy")) return basis;
        if (fields.Element.GetProperty("unreachableStrategy").ValueKind == JsonValueKind.String)
        {
            if (fields.String("unreachableStrategy") != "disabled") fields.Violations.Rule("/unreachableStrategy", "must be \"disabled\" or an object with inactiveAfterSeconds and expungeAfterSeconds");
            return null;
        }
        if (fields.Object("unreachableStrategy") is not { } given) return basis;
        var inactive = Seconds(given, "inactiveAfterSeconds") ?? TimeSpan.Zero;
        var expunge = Seconds(given, "expungeAfterSeconds") ?? inactive;
        if (expunge < inactive) fields.Violations.Rule("/unreachableStrategy/expungeAfterSeconds", "must not be less than inactiveAfterSeconds");
        return new(inactive, expunge);
    }

    /// <summary>Fields Marathon acts on and Drover does not: ignoring them would run something other than what was asked.</summary>
    private static void RefuseWhatIsNotDone(JsonFields fields)
    {
        foreach (var (name, remedy) in NotDone)
        {
            if (!fields.IsEmpty(name)) fields.Violations.Rule(fields.At(name), remedy);
        }
    }

    private static readonly (string Name, string Remedy)[] NotDone =
    [
        ("uris", "files are not fetched; build them into the image or keep them in a volume"),
        ("fetch", "files are not fetched; build them into the image or keep them in a volume"),
        ("storeUrls", "artifacts are not stored; build them into the image or keep them in a volume"),
        ("secrets", "secrets are not kept here; give values in env"),
        ("check", "checks are not run; use healthChecks"),
        ("executorResources", "no executor runs beside the container; take executorResources out"),
    ];

    internal static double? Amount(JsonFields fields, string name, double least)
    {
        if (fields.Number(name) is not { } amount) return null;
        if (amount >= least && amount <= MostOfAnything) return amount;
        fields.Violations.Rule(fields.At(name), FormattableString.Invariant($"must be at least {least} and at most {MostOfAnything:0}; it was {amount}"));
        return null;
    }

    internal static int? Whole(JsonFields fields, string name, int least, int most)
    {
        if (fields.Integer(name) is not { } amount) return null;
        if (amount >= least && amount <= most) return amount;
        fields.Violations.Rule(fields.At(name), $"must be between {least} and {most}; it was {amount}");
        return null;
    }

    internal static TimeSpan? Seconds(JsonFields fields, string name)
    {
        if (fields.Number(name) is not { } seconds) return null;
        if (seconds is >= 0 and <= 100_000_000) return TimeSpan.FromSeconds(seconds);
        fields.Violations.Rule(fields.At(name), FormattableString.Invariant($"must be between 0 and 100000000 seconds; it was {seconds}"));
        return null;
    }

    private static double? Fraction(JsonFields fields, string name)
    {
        if (fields.Number(name) is not { } value) return null;
        if (value is >= 0 and <= 1) return value;
        fields.Violations.Rule(fields.At(name), FormattableString.Invariant($"must be between 0 and 1; it was {value}"));
        return null;
    }
}
