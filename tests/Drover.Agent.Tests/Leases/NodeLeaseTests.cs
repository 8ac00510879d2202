using Drover.Agent.Guard;
using Drover.Agent.Leases;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Testing;
using Drover.Testing.Volumes;
using Xunit;

namespace Drover.Agent.Tests.Leases;

public sealed class NodeLeaseTests : IDisposable
{
    private static readonly (VolumeName, Epoch)[] Data = [(new("data"), new(3))];
    private readonly TemporaryFolder _folder = new();
    private readonly LeaseClock _clock = new();
    private readonly LeaseGuard _guard = new();

    private GuardFile File => new(_folder.Path);

    private NodeLease Lease(string boot = "boot") => new(File, _guard, _clock.Of(boot),
        new FakeVolumeDriver(new FakePool(), new SeededChance(1), _folder.File("flocker")), new EagerTime());

    public void Dispose() => _folder.Dispose();

    private static LeaseGrant Grant(LeaseRequest asked, int seconds = 60) => new() { AskedAtUs = asked.AskedAtUs, LengthMs = seconds * 1000 };

    [Fact]
    public async Task Without_a_lease_nothing_may_be_written_and_with_one_it_may_until_five_sixths_of_it_have_passed_since_it_was_asked_for()
    {
        var lease = Lease();
        var gained = 0;
        lease.Gained += () => gained++;
        Assert.Contains("no lease", await lease.Claim(Data, "", default), StringComparison.Ordinal);
        var asked = lease.Ask();
        _clock.Seconds = 130;
        await lease.Take(Grant(asked), default);
        Assert.Equal(1, gained);
        Assert.Null(await lease.Claim(Data, "", default));
        _clock.Seconds = 150;
        Assert.Contains("ran out", await lease.Claim(Data, "", default), StringComparison.Ordinal);
        await lease.Take(Grant(lease.Ask()), default);
        Assert.Equal(2, gained);
        Assert.Null(await lease.Claim(Data, "", default));
        await lease.Take(Grant(lease.Ask()), default);
        Assert.Equal(2, gained);
    }

    [Fact]
    public async Task What_is_claimed_stands_on_the_guards_list_before_it_may_begin_and_is_found_there_by_the_next_agent()
    {
        var lease = Lease();
        await lease.Claim(Data, "aa", default);
        await lease.Take(Grant(lease.Ask()), default);
        var state = File.Read()!;
        Assert.Equal((TimeSpan.FromSeconds(160), TimeSpan.FromSeconds(60)), (state.EndsAt, state.Length));
        Assert.Equal(["aa"], state.Containers);
        Assert.Equal("data", Assert.Single(state.Volumes).Name.Value);
        Assert.Null(await Lease().Claim([], "", default));
        Assert.Null(await Lease().Claim(Data, "bb", default));
        Assert.Equal(["aa", "bb"], File.Read()!.Containers);
        Assert.Contains("no lease", await Lease("another start of the machine").Claim(Data, "aa", default), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_guard_one_is_started_and_where_that_fails_nothing_may_be_written()
    {
        var lease = Lease();
        await lease.Take(Grant(lease.Ask()), default);
        _guard.Runs = false;
        Assert.Null(await lease.Claim(Data, "aa", default));
        Assert.Equal(1, _guard.Starts);
        (_guard.Runs, _guard.CanStart) = (false, false);
        var waits = lease.Claim(Data, "aa", default);
        Assert.Contains("guard does not run", await waits, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Once_writers_are_being_stopped_only_a_new_grant_lets_them_start_again()
    {
        var lease = Lease();
        await lease.Take(Grant(lease.Ask()), default);
        Assert.False(lease.BeginStop());
        _clock.Seconds = 155;
        Assert.True(lease.MustStop);
        Assert.True(lease.BeginStop());
        var gained = 0;
        lease.Gained += () => gained++;
        await lease.Take(Grant(lease.Ask()), default);
        Assert.Equal(1, gained);
        Assert.Null(await lease.Claim(Data, "", default));
    }

    [Fact]
    public async Task A_grant_waits_for_a_guard_that_is_just_stopping_writers()
    {
        var lease = Lease();
        var turn = File.TryLock();
        var take = new NodeLease(File, _guard, _clock, new FakeVolumeDriver(new FakePool(), new SeededChance(1), _folder.File("flocker")), TimeProvider.System).Take(Grant(lease.Ask()), default);
        Assert.Null(File.Read());
        turn!.Dispose();
        await take.WaitAsync(TestCluster.Patience);
        Assert.Equal(TimeSpan.FromSeconds(160), File.Read()!.EndsAt);
    }

    [Fact]
    public async Task The_list_forgets_what_is_gone_but_not_what_was_claimed_a_moment_ago()
    {
        var lease = Lease();
        await lease.Claim(Data, "aa", default);
        lease.Keep(new HashSet<(VolumeName, Epoch)>(), new HashSet<string>());
        Assert.Equal(["aa"], File.Read()!.Containers);
        _clock.Seconds = 1000;
        await lease.Claim([(new("other"), new(1))], "bb", default);
        lease.Keep(new HashSet<(VolumeName, Epoch)>(), new HashSet<string>());
        Assert.Equal((["bb"], "other"), (File.Read()!.Containers, Assert.Single(File.Read()!.Volumes).Name.Value));
    }
}
