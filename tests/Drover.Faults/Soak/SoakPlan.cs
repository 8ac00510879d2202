using Drover.Faults.Table;

namespace Drover.Faults.Soak;

/// <summary>One thing a soak does.</summary>
public abstract record SoakAction
{
    private SoakAction() { }

    /// <summary>A move with a fault in one of its steps.</summary>
    /// <param name="Turn">Which of the other nodes, counted from the source.</param>
    public sealed record Strike(Combo Combo, int Turn) : SoakAction;

    /// <summary>A move that nothing disturbs.</summary>
    public sealed record Move(int Turn) : SoakAction;

    /// <summary>The node that has the volume is emptied, and then taken into service again.</summary>
    public sealed record Drain : SoakAction;

    /// <summary>The app is deleted and deployed again; its volume stays.</summary>
    public sealed record Redeploy : SoakAction;
}

/// <summary>What a soak does, one after the other: the same for the same seed.</summary>
public sealed class SoakPlan(int seed, int nodes)
{
    private static readonly IReadOnlyList<Combo> Combos = Combo.All();

#pragma warning disable RS0030 // seeded: the same plan each time
    private readonly Random _chance = new(seed);
#pragma warning restore RS0030

    public SoakAction Next()
    {
        var kind = _chance.Next(10);
        var combo = Combos[_chance.Next(Combos.Count)];
        var turn = 1 + _chance.Next(nodes - 1);
        return kind switch
        {
            0 => new SoakAction.Redeploy(),
            1 => new SoakAction.Drain(),
            2 or 3 => new SoakAction.Move(turn),
            _ => new SoakAction.Strike(combo, turn),
        };
    }
}
