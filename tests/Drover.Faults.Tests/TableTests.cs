using Drover.Core.Moves;
using Drover.Faults.Table;
using Xunit;

namespace Drover.Faults.Tests;

public sealed class TableTests
{
    [Fact]
    public void The_table_has_every_step_with_every_fault_that_makes_sense_there()
    {
        var all = Combo.All();
        Assert.True(all.Count >= 80, $"{all.Count} combos");
        Assert.Equal(all.Count, all.Distinct().Count());
        Assert.Equal(8, all.Select(c => c.Step).Distinct().Count());
        Assert.Equal(Enum.GetValues<Fault>().Except([Fault.None]).Order(), all.Select(c => c.Fault).Distinct().Order());
        Assert.All(all, c => Assert.NotEmpty(c.Hold.Point));
        Assert.All((Fault[])[Fault.KillControl, Fault.KillSource, Fault.KillTarget, Fault.StopControl, Fault.StopSource, Fault.StopTarget, Fault.CutAgents, Fault.CutSourceFromControl, Fault.StoreFails],
            fault => Assert.Equal(8, all.Count(c => c.Fault == fault)));
    }

    [Fact]
    public void The_short_table_is_part_of_the_whole_and_meets_every_step()
    {
        Assert.Empty(Combo.Short().Except(Combo.All()));
        Assert.Equal(Combo.All().Select(c => c.Step).Distinct().Order(), Combo.Short().Select(c => c.Step).Distinct().Order());
    }

    [Fact]
    public void A_move_is_not_held_where_it_has_ended() => Assert.Throws<ArgumentOutOfRangeException>(() => new Combo(MoveState.Done, Fault.KillControl).Hold);
}
