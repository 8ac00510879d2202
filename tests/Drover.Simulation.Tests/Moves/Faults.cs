using Drover.Core.Moves;

namespace Drover.Simulation.Tests.Moves;

/// <summary>What goes wrong, by the seed's chance, until it is over.</summary>
internal sealed class Faults(World world, double likelihood, TimeSpan until)
{
    public Action<SimNode>? CutControl { get; set; }
    public Action<SimNode>? KillAgent { get; set; }
    public Action? KillControl { get; set; }
    public Action? CutLink { get; set; }

    public bool Over => world.Clock > until;

    public bool Happens(double share = 1) => !Over && world.Happens(likelihood * share);

    public (string Message, StepFailure Kind)? FailsAStep() => !Happens(0.5) ? null
        : world.Happens(0.8) ? ("the connection was cut", StepFailure.Retry)
        : world.Happens(0.5) ? ("the order is older than what this node knows", StepFailure.Refused)
        : ("the image does not exist", StepFailure.Operator);

    public void AfterAStep(SimNode node)
    {
        if (!Happens()) return;
        switch ((int)(world.Chance() * 4))
        {
            case 0: CutControl?.Invoke(node); break;
            case 1: KillAgent?.Invoke(node); break;
            case 2: KillControl?.Invoke(); break;
            default: CutLink?.Invoke(); break;
        }
    }
}
