using Drover.Core.Moves;
using Drover.Faults.Lab;
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

    [Fact]
    public void The_whole_table_has_what_strikes_the_data_and_what_stays_too_and_nothing_twice()
    {
        var whole = Combo.Whole();
        Assert.Empty(Combo.All().Concat(Combo.Data()).Concat(Combo.Staying()).Except(whole));
        Assert.Equal(whole.Count, whole.Select(c => c.Name).Distinct().Count());
        // What stays must be undone before the commit, or not be in the way.
        Assert.All(Combo.Staying(), c => Assert.True(c.Stays && c.Step < MoveState.CutOver, c.Name));
    }

    [Fact]
    public void Each_driver_meets_what_strikes_the_data_in_seeding_the_last_round_its_verification_and_the_promotion()
    {
        Assert.Equal(["FinalDelta", "Preparing", "Promoting", "Quiescing", "Retiring", "Seeding", "Starting", "Verified", "Verifying"], Combo.Data().Select(c => c.Where).Distinct().Order());
        Assert.Empty(((Fault[])[Fault.KillSend, Fault.KillReceive, Fault.CutAgents, Fault.KillTarget, Fault.TargetFull, Fault.SourceFull, Fault.CorruptFrame, Fault.TruncatedStream, Fault.StoreFails])
            .Except(Combo.Data().Select(c => c.Fault)));
        Assert.Equal(VolumeKind.All.Select(k => k.Name), Bed.Usual().Select(b => b.Drivers));
        Assert.All(Bed.Usual().Skip(1), b => Assert.Equal(Combo.DataOn(VolumeKind.Named(b.Drivers)), b.Combos));
    }

    [Theory]
    [InlineData("directory", "directory")]
    [InlineData("btrfs,directory", "node1=btrfs,node2=directory")]
    [InlineData("node2=directory", "node2=directory")]
    public void Drivers_are_given_for_all_nodes_or_for_each(string given, string lab) => Assert.Equal(lab, VolumeKind.ForNodes(given, 2));

    [Theory]
    [InlineData("ext4")]
    [InlineData("btrfs,directory,btrfs")]
    [InlineData("")]
    public void Drivers_that_there_are_not_are_refused(string given) => Assert.Throws<FormatException>(() => VolumeKind.ForNodes(given, 2));
}
