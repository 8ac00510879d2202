using Drover.Contracts.Api;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.State;

namespace Drover.ControlPlane.Moves;

/// <summary>What can be asked of moves.</summary>
public sealed class MoveCommands(ICluster cluster, IChance chance, TimeProvider time)
{
    /// <summary>Begins a move. The app's new constraint, where one is wished, and the move come to be in one commit.</summary>
    public Task<MoveStart> Start(MoveWish wish, CancellationToken cancel)
    {
        var now = time.GetUtcNow();
        var id = new MoveId(chance.NewGuid().ToString("N"));
        return cluster.Decide(state => Decide(state, wish, id, now), cancel);
    }

    public Task<MoveActOutcome> Undo(MoveId move, CancellationToken cancel) => cluster.Decide(state => MoveActs.Undo(state, move, time.GetUtcNow()), cancel);

    public Task<MoveActOutcome> Cut(MoveId move, CancellationToken cancel) => cluster.Decide(state => MoveActs.Cut(state, move, time.GetUtcNow()), cancel);

    /// <summary>What <see cref="Start"/> would do now. Nothing changes.</summary>
    public MoveForecast Forecast(MoveWish wish)
    {
        var state = cluster.Current;
        var (choice, refusal) = MoveRequests.Choose(state, wish);
        return choice is null ? new(null, refusal) : new(MovePlanViews.Of(state, wish, choice, time.GetUtcNow()), null);
    }

    private static Decision<MoveStart> Decide(ClusterState state, MoveWish wish, MoveId id, DateTimeOffset now)
    {
        var (choice, refusal) = MoveRequests.Choose(state, wish);
        if (choice is null) return new MoveStart(null, refusal);
        var changes = new List<ClusterChange>();
        App? before = null;
        if (wish.Constraint is not null)
        {
            before = state.Apps[wish.App];
            var version = MoveRequests.Version(now);
            var app = before with { Spec = choice.Spec, Version = version, LastConfigChangeAt = version };
            changes.Add(new ClusterChange.PutApp(app));
        }
        var move = MovePlanner.Plan(state, choice.Spec, choice.Instance, choice.Source, choice.Target.Node, choice.Target.Ports, MoveTrigger.Move, wish.Overrides.Over(MoveSettings.Of(choice.Spec)), id, now) with { Before = before };
        changes.Add(new ClusterChange.PutMove(move));
        return Decision.Of(new MoveStart(move, null), changes, MoveEvents.Planned(move));
    }
}

/// <summary>Exactly one of the two.</summary>
public sealed record MoveStart(Move? Move, MoveRefusal? Refusal);

/// <summary>Exactly one of the two.</summary>
public sealed record MoveForecast(MovePlanView? Plan, MoveRefusal? Refusal);
