using Drover.Core.Apps;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.Core.Moves;

/// <summary>What an operator asks: this app to that node, or to any node with that attribute.</summary>
/// <param name="To">Node; null with <paramref name="Constraint"/>.</param>
/// <param name="Constraint">Becomes the app's constraint in the commit that begins the move; null with <paramref name="To"/>.</param>
public sealed record MoveWish(AppId App, NodeId? To, AttributeValue? Constraint, MoveOverrides Overrides)
{
    /// <summary>Also to a node that cannot keep a volume to its size.</summary>
    public bool WithoutSizes { get; init; }
}

/// <summary>`disk=ssd`</summary>
public sealed record AttributeValue(string Name, string Value)
{
    public static AttributeValue? Parse(string text)
    {
        var at = text.IndexOf('=', StringComparison.Ordinal);
        return at > 0 && at < text.Length - 1 ? new(text[..at].Trim(), text[(at + 1)..].Trim()) : null;
    }

    public override string ToString() => $"{Name}={Value}";
}

/// <summary>A wish that can be granted.</summary>
/// <param name="Spec">The app's spec, with the wished constraint.</param>
/// <param name="Considered">What placement says of every node.</param>
public sealed record MoveChoice(AppSpec Spec, Instance? Instance, NodeId Source, NodeVerdict Target, EquatableList<NodeVerdict> Considered);

/// <summary>Finds where a wish leads, or why nowhere.</summary>
public static class MoveRequests
{
    public static (MoveChoice? Choice, MoveRefusal? Refusal) Choose(ClusterState state, MoveWish wish)
    {
        if (!state.Apps.TryGetValue(wish.App, out var app)) return (null, new MoveRefusal.UnknownApp(wish.App));
        var spec = wish.Constraint is { } asked ? Constrained(app.Spec, asked) : app.Spec;
        var instance = state.InstancesOf(wish.App).FirstOrDefault(i => i.Goal == InstanceGoal.Running);
        var verdicts = Placement.Rank(state, spec, instance).ToEquatableList();
        var source = MovePlanner.Source(state, spec, instance);
        if (wish.To is null && wish.Constraint is { } sought)
        {
            if (verdicts.Items.FirstOrDefault(v => v.Node == source) is { Fits: true } here) return (null, new MoveRefusal.AlreadyThere(wish.App, here.Node));
            var best = verdicts.Items.FirstOrDefault(v => v.Fits && v.Node != source);
            return best is null ? (null, new MoveRefusal.NoNodeFits(wish.App, sought.ToString(), Why(verdicts))) : Checked(state, wish, spec, instance, best, verdicts);
        }
        var to = wish.To ?? default;
        var verdict = verdicts.Items.FirstOrDefault(v => v.Node == to);
        return verdict is null ? (null, new MoveRefusal.UnknownNode(to)) : Checked(state, wish, spec, instance, verdict, verdicts);
    }

    /// <summary>The spec with this constraint in place of those on the same attribute; the operator stays as the app had it where it takes a plain value.</summary>
    public static AppSpec Constrained(AppSpec spec, AttributeValue asked)
    {
        var before = spec.Constraints.Items.FirstOrDefault(c => c.Field == asked.Name);
        var how = before?.Operator is ConstraintOperator.Like or ConstraintOperator.Is ? before.Operator : ConstraintOperator.Cluster;
        return spec with { Constraints = spec.Constraints.Where(c => c.Field != asked.Name).Append(new Constraint(asked.Name, how, asked.Value)).ToEquatableList() };
    }

    /// <summary>Version an app has from a constraint wished at this moment (milliseconds, as all versions).</summary>
    public static DateTimeOffset Version(DateTimeOffset requestedAt) => DateTimeOffset.FromUnixTimeMilliseconds(requestedAt.ToUnixTimeMilliseconds());

    private static (MoveChoice?, MoveRefusal?) Checked(ClusterState state, MoveWish wish, AppSpec spec, Instance? instance, NodeVerdict target, EquatableList<NodeVerdict> considered)
    {
        var app = wish.App;
        if (MovePlanner.Refusal(state, app, target.Node) is { } refusal) return (null, refusal);
        if (state.DeploymentOf(app) is { } deployment) return (null, new MoveRefusal.BeingDeployed(app, deployment.Id));
        if (!target.Fits) return (null, new MoveRefusal.DoesNotFit(app, target.Node, target.Reasons));
        if (!wish.WithoutSizes && VolumeSizes.NotKept(state, spec, target.Node).FirstOrDefault() is { } sized)
            return (null, new MoveRefusal.SizeNotKept(sized.Name, sized.Size!.Value, target.Node, state.Nodes[target.Node].VolumeDriver));
        // Refusal has made sure that there is a source.
        return (new MoveChoice(spec, instance, MovePlanner.Source(state, spec, instance)!.Value, target, considered), null);
    }

    private static EquatableList<string> Why(EquatableList<NodeVerdict> verdicts) =>
        verdicts.Items.Where(v => !v.Fits).Select(v => $"{v.Node}: {string.Join(", ", v.Reasons)}").ToEquatableList();
}
