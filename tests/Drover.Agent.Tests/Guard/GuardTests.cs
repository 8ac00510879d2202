using Drover.Agent.Guard;
using Drover.Core;
using Drover.Testing;
using Xunit;

namespace Drover.Agent.Tests.Guard;

public sealed class GuardTests : IDisposable
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private readonly TemporaryFolder _folder = new();
    private readonly Hands _hands = new();
    private readonly List<string> _said = [];

    private GuardFile File => new(_folder.Path);
    private GuardLoop Loop => new(File, "boot", _hands, _said.Add);

    public void Dispose() => _folder.Dispose();

    private sealed class Hands : IGuardHands
    {
        public List<string> Done { get; } = [];
        public HashSet<string> Running { get; } = [];
        public HashSet<string> Writable { get; } = [];

        public int Kill(IReadOnlyCollection<string> containers)
        {
            Done.Add("kill " + string.Join(',', containers));
            return containers.Count(Running.Remove);
        }

        public bool Seal(string path)
        {
            if (path == "/broken") throw new IOException("no such disk");
            Done.Add("seal " + path);
            return Writable.Remove(path);
        }
    }

    private static GuardState State(double ends, string boot = "boot") => new(boot, TimeSpan.FromSeconds(ends), TimeSpan.FromSeconds(60),
        [new(new("broken"), new(1), "/broken"), new(new("data"), new(3), "/pool/volumes/data with space/live/3"), new(new("elsewhere"), new(2), "")], ["aa", "bb"]);

    [Fact]
    public void What_the_agent_writes_the_guard_reads()
    {
        Assert.Null(File.Read());
        File.Write(State(12.25));
        Assert.Equal(State(12.25), File.Read());
        var path = Path.Combine(_folder.Path, "state");
        System.IO.File.WriteAllText(path, System.IO.File.ReadAllText(path).Replace("end\n", "", StringComparison.Ordinal));
        Assert.Null(File.Read());
    }

    [Fact]
    public void Before_the_end_it_only_looks_and_at_the_end_it_kills_and_then_seals_and_goes_on_doing_so()
    {
        _hands.Running.UnionWith(["aa", "bb"]);
        _hands.Writable.Add("/pool/volumes/data with space/live/3");
        File.Write(State(10));
        var loop = Loop;
        Assert.Equal(5 * Second, loop.Look(4 * Second));
        Assert.Equal(10 * Second, loop.Look(9.5 * Second));
        Assert.Empty(_hands.Done);
        Assert.Equal(11 * Second, loop.Look(10 * Second));
        Assert.Equal(["kill aa,bb", "seal /pool/volumes/data with space/live/3"], _hands.Done);
        Assert.Contains("killed 2 processes", _said[0], StringComparison.Ordinal);
        Assert.Contains("no such disk", _said[1], StringComparison.Ordinal);
        Assert.Contains("sealed volume data", _said[2], StringComparison.Ordinal);
        // A start that was under way arrives late.
        _hands.Running.Add("aa");
        loop.Look(11 * Second);
        Assert.Empty(_hands.Running);
    }

    [Fact]
    public void A_lease_that_is_renewed_in_time_or_of_another_start_of_the_machine_stops_nobody()
    {
        File.Write(State(10));
        File.Write(State(40));
        Loop.Look(12 * Second);
        File.Write(State(10, "the boot before"));
        Loop.Look(12 * Second);
        Assert.NotEqual(File.StartOf(new Leases.LeaseClock()), new GuardFile(_folder.File("a copy")).StartOf(new Leases.LeaseClock()));
        Assert.Empty(_hands.Done);
    }

    [Fact]
    public void It_waits_for_an_agent_that_is_writing_but_not_for_one_that_stands_still_in_the_middle()
    {
        File.Write(State(10));
        var loop = Loop;
        using (var held = File.TryLock())
        {
            Assert.NotNull(held);
            Assert.Null(File.TryLock());
            var now = 10 * Second;
            for (var looks = 0; _hands.Done.Count == 0; looks++)
            {
                Assert.True(looks < 100, "it never stopped the writers");
                now = loop.Look(now);
            }
            Assert.True(now < 12 * Second);
        }
        _hands.Done.Clear();
        File.Write(State(90));
        loop.Look(13 * Second);
        Assert.Empty(_hands.Done);
    }

    [Fact]
    public void Its_own_processes_are_found_by_the_control_groups_path()
    {
        var own = System.IO.File.ReadAllText("/proc/self/cgroup").Split('\n')[0].Split(':')[2];
        if (own.Length > 1) Assert.Contains(Environment.ProcessId, GuardHands.ProcessesOf([own]));
        Assert.Empty(GuardHands.ProcessesOf(["no container has such an id", ""]));
    }
}
