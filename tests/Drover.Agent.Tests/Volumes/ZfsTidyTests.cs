using System.Text.RegularExpressions;
using Drover.Agent.Volumes;
using Drover.Agent.Volumes.Zfs;
using Drover.Core;
using Xunit;

namespace Drover.Agent.Tests.Volumes;

/// <summary>How a volume's datasets are brought in order: played through on a model of what `zfs` does, and it always ends.</summary>
public sealed partial class ZfsTidyTests
{
    private const string Root = "tank/volumes/db";

    private static VolumeLedger Ledger(long epoch, bool isLive = true, long floor = 0) => VolumeLedger.Blank with { Epoch = new(epoch), Live = isLive, Floor = new(floor) };

    [Fact]
    public void Live_data_takes_its_whole_history_over_and_what_carried_it_goes()
    {
        // Three rounds arrived, each a clone of the one before; then the last was promoted.
        var pool = new Model().With("c-1", null, "s1:1").With("c-2", "c-1@s1", "s2:2").With("c-3", "c-2@s2", "s3:3").With("live-2", "c-3@s3");
        Assert.Equal("live-2[s1,s2,s3]", pool.Tidied(Ledger(2)));
    }

    [Fact]
    public void Rounds_on_a_standby_end_in_one_dataset()
    {
        var pool = new Model().With("c-1", null, "s1:1").With("c-2", "c-1@s1", "s2:2").With("c-3", "c-2@s2", "s3:3");
        Assert.Equal("c-3[s1,s2,s3]", pool.Tidied(Ledger(0, isLive: false)));
    }

    [Fact]
    public void Older_live_data_stays_until_an_order_puts_it_away()
    {
        Model pool() => new Model().With("live-1", null, "s1:1", "s2:2").With("live-2", "live-1@s1");
        Assert.Equal("live-1[s2]<live-2@s1 live-2[s1]", pool().Tidied(Ledger(2)));
        // What is left of it carries the snapshot that nothing else has.
        Assert.Equal("live-1[s2]<live-2@s1 live-2[s1]", pool().Tidied(Ledger(2, floor: 2)));
        Assert.Equal("live-2[s1]", new Model().With("live-1", null, "s1:1").With("live-2", "live-1@s1").Tidied(Ledger(2, floor: 2)));
    }

    [Fact]
    public void A_removed_snapshot_goes_when_no_clone_needs_it()
    {
        Assert.Equal("live-1[]", new Model().With("live-1", null, "-s1:1").Tidied(Ledger(1)));
        // A volume that was cloned from it keeps it, out of sight.
        Assert.Equal("live-1[-s1] tank/volumes/other/live-1[]<live-1@s1", new Model().With("live-1", null, "-s1:1").With("tank/volumes/other/live-1", "live-1@s1").Tidied(Ledger(1)));
        Assert.Equal("live-2[s2]", new Model().With("c-1", null, "-s1:1").With("c-2", "c-1@s1", "s2:2").With("live-2", "c-2@s2").Tidied(Ledger(2)));
    }

    [Fact]
    public void What_is_received_into_or_looked_at_is_left_alone()
    {
        var pool = new Model().With("c-1", null, "s1:1").With("v-1", "c-1@s1").With("c-2", null);
        Assert.Equal("c-1[s1] c-2[] v-1[]<c-1@s1", pool.Tidied(Ledger(0, isLive: false), "v-1", "c-2"));
        Assert.Equal("c-1[s1]", pool.Tidied(Ledger(0, isLive: false)));
    }

    [Fact]
    public void What_was_never_committed_is_not_tidied_away() => Assert.Equal("live-3[]", new Model().With("live-3", null).Tidied(Ledger(2, isLive: false)));

    [Fact]
    public void It_ends_for_every_tree_of_clones()
    {
        for (var seed = 0; seed < 3000; seed++)
        {
            var chance = new Random(seed);
            var (pool, all) = (new Model(), new List<string>());
            for (var i = 0; i < chance.Next(1, 7); i++)
            {
                var name = chance.Next(3) == 0 ? $"live-{i + 1}" : $"c-{i}";
                var snapshots = Enumerable.Range(0, chance.Next(3)).Select(n => $"{(chance.Next(3) == 0 ? "-" : "")}s{i}{n}:{i * 10 + n}").ToArray();
                pool.With(name, all.Count > 0 && chance.Next(3) > 0 ? all[chance.Next(all.Count)] : null, snapshots);
                all.AddRange(snapshots.Select(s => $"{name}@{s.TrimStart('-').Split(':')[0]}"));
            }
            var before = pool.Visible();
            pool.Tidied(Ledger(chance.Next(8), chance.Next(2) == 0, chance.Next(8)));
            Assert.Equal(before, pool.Visible());
        }
    }

    [Theory]
    [InlineData("mine")]
    [InlineData("c-backup")]
    [InlineData("c-0123456789abcdef0123456789ABCDEF")]
    [InlineData("live-01")]
    [InlineData("live-2/live-3")]
    [InlineData("mine/live-3")]
    public void What_the_driver_does_not_make_is_none_of_its_business(string name)
    {
        var pool = new Model().With("live-2", null).With($"{Root}/{name}", null, "s1:1");
        Assert.Equal($"live-2[] {name}[s1]".Split(' ').Order(StringComparer.Ordinal), pool.Tidied(Ledger(2, floor: 4)).Split(' ').Order(StringComparer.Ordinal));
        var here = ZfsTree.Volume(pool.Read(), Root);
        Assert.Equal([$"{Root}/{name}"], here.Strange);
        Assert.Empty(here.Snapshots);
    }

    [Fact]
    public void Live_data_that_the_ledger_has_never_heard_of_is_not_put_away() => Assert.False(ZfsPlaces.IsPutAway(new($"{Root}/live-3", null, 0, []), Ledger(1, floor: 5)));

    [Fact]
    public void What_takes_snapshots_over_is_in_the_way_only_in_another_volume()
    {
        static string? Conflict(Model model) => ZfsTidy.Conflict(ZfsTree.Volume(model.Read(), Root), model.Read());
        // As a restore leaves it.
        Assert.Null(Conflict(new Model().With("live-1", "live-2@s1", "s2:2").With("live-2", null, "s1:1")));
        Assert.Null(Conflict(new Model().With("live-1", null, "s1:1").With("tank/volumes/other/live-1", "live-1@s1", "s2:2")));
        Assert.Contains("tank/volumes/other/live-1", Conflict(new Model().With("live-1", null, "s1:1").With("tank/volumes/other/live-1", "live-1@s1", "s1:2")), StringComparison.Ordinal);
    }

    /// <summary>Datasets with their snapshots, and what `zfs` does to them.</summary>
    private sealed partial class Model
    {
        private readonly SortedDictionary<string, (string? Origin, List<ZfsSnapshot> Snapshots)> _all = new(StringComparer.Ordinal);

        /// <param name="snapshots">`name:order`, with a dash before those that were removed.</param>
        public Model With(string name, string? origin, params string[] snapshots)
        {
            _all[Full(name)] = (origin is null ? null : Full(origin), [.. snapshots.Select(s => s.TrimStart('-').Split(':')).Zip(snapshots, (p, s) =>
                new ZfsSnapshot(Full(name), p[0], 0, long.Parse(p[1], null), 0, 0, null, s.StartsWith('-')))]);
            return this;
        }

        /// <summary>Short names stand for the long ones of what carries snapshots and of what is looked at.</summary>
        private static string Full(string name) => name.StartsWith("tank/", StringComparison.Ordinal) ? name : $"{Root}/{Short().Replace(name, m => m.Value + Zeros)}";

        private static readonly string Zeros = new('0', 31);

        [GeneratedRegex("^[cv]-[0-9]")]
        private static partial Regex Short();

        public IReadOnlyList<ZfsDataset> Read() => [.. _all.Select(d => new ZfsDataset(d.Key, d.Value.Origin, 0, [.. d.Value.Snapshots]))];

        public string Visible() => string.Join(',', _all.Values.SelectMany(d => d.Snapshots).Where(s => s.Visible is not null).Select(s => s.Name).Order(StringComparer.Ordinal));

        public string Tidied(VolumeLedger ledger, params string[] used)
        {
            const int most = 100;
            for (var i = 0; ; i++)
            {
                Assert.True(i < most, $"no end: {this}");
                IReadOnlyList<ZfsDataset> pool = [.. _all.Select(d => new ZfsDataset(d.Key, d.Value.Origin, 0, d.Value.Snapshots))];
                if (ZfsTidy.Next(ZfsTree.Volume(pool, Root), ledger, pool, d => used.Select(Full).Contains(d.Path), _ => false, new HashSet<string>()) is not { } step) return ToString();
                Do(step);
            }
        }

        private void Do(TidyStep step)
        {
            switch (step)
            {
                case TidyStep.Destroy gone:
                    Assert.Empty(_all[gone.Path].Snapshots);
                    _all.Remove(gone.Path);
                    return;
                case TidyStep.DestroySnapshot old:
                    Assert.DoesNotContain(_all.Values, d => d.Origin == old.Path);
                    _all[old.Snapshot.Dataset].Snapshots.Remove(old.Snapshot);
                    return;
                case TidyStep.Promote promote: Promote(promote.Of.Path); return;
                default: throw new InvalidOperationException(step.ToString());
            }
        }

        /// <summary>The origin and all before it change over, and clones of them with their names.</summary>
        private void Promote(string clone)
        {
            var origin = _all[clone].Origin!;
            var (old, name) = (origin.Split('@')[0], origin.Split('@')[1]);
            var last = _all[old].Snapshots.First(s => s.Name == name).Order;
            var moving = _all[old].Snapshots.Where(s => s.Order <= last).ToList();
            _all[old].Snapshots.RemoveAll(moving.Contains);
            var before = _all[old].Origin;
            _all[clone] = (before, [.. moving.Select(s => s with { Dataset = clone }), .. _all[clone].Snapshots]);
            _all[old] = ($"{clone}@{name}", _all[old].Snapshots);
            foreach (var other in _all.Keys.ToList())
                if (_all[other].Origin is { } its && moving.Any(s => s.Path == its)) _all[other] = ($"{clone}@{its.Split('@')[1]}", _all[other].Snapshots);
        }

        public override string ToString() => string.Join(' ', _all.Select(d =>
            $"{d.Key}[{string.Join(',', d.Value.Snapshots.Select(s => (s.IsGoing ? "-" : "") + s.Name))}]{(d.Value.Origin is null ? "" : "<" + d.Value.Origin)}")).Replace(Root + "/", "", StringComparison.Ordinal).Replace(Zeros, "", StringComparison.Ordinal);
    }
}
