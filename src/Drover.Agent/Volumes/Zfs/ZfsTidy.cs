namespace Drover.Agent.Volumes.Zfs;

/// <summary>One step of bringing a volume's datasets in order. None changes what the volume shows.</summary>
internal abstract record TidyStep(string Path)
{
    /// <summary>Live data of an epoch that was put away and is mounted still. What was written after its newest snapshot goes.</summary>
    public sealed record PutAway(ZfsDataset Live) : TidyStep(Live.Path);

    /// <summary>A dataset that nothing needs: no live data, no snapshot.</summary>
    public sealed record Destroy(ZfsDataset Dataset) : TidyStep(Dataset.Path);

    /// <summary>A snapshot that was removed while a clone still needed it, which none does any more.</summary>
    public sealed record DestroySnapshot(ZfsSnapshot Snapshot) : TidyStep(Snapshot.Path);

    /// <summary>Makes a clone the owner of the snapshots it comes from, so that its history is in one dataset and the old one can go.</summary>
    public sealed record Promote(ZfsDataset Of) : TidyStep(Of.Path);
}

/// <summary>Decides what a volume's datasets need.</summary>
internal static class ZfsTidy
{
    /// <summary>Why not everything of a volume can go: a clone in another one takes over the snapshots it comes from, which it cannot where it has others of the same names.</summary>
    public static string? Conflict(ZfsVolume volume, IReadOnlyList<ZfsDataset> pool)
    {
        var names = volume.Snapshots.Select(s => s.Name).ToHashSet();
        // By path: both were read at different times, and the volume's own clones come from its snapshots too.
        var clones = pool.Where(d => !volume.IsOver(d.Path) && volume.Snapshots.Any(s => s.Path == d.Origin));
        var both = clones.SelectMany(c => c.Snapshots).FirstOrDefault(s => names.Contains(s.Name));
        return both is null ? null : $"{both.Dataset} is a clone of this volume and has a snapshot called '{both.Name}' too: remove that snapshot of either first";
    }

    /// <summary>The next step; null when all is in order.</summary>
    /// <param name="pool">Every dataset whose origin may be a snapshot of the volume.</param>
    /// <param name="isUsed">Being read or received into just now: left alone.</param>
    /// <param name="wasTried">Paths of steps that did not work this time.</param>
    /// <param name="isShown">Mounted where live data is.</param>
    public static TidyStep? Next(ZfsVolume volume, VolumeLedger ledger, IReadOnlyList<ZfsDataset> pool, Func<ZfsDataset, bool> isUsed, Func<ZfsDataset, bool> isShown, IReadOnlySet<string> wasTried)
    {
        bool IsLive(ZfsDataset d) => ledger.Live && d.Live == ledger.Epoch;
        var origins = pool.Select(d => d.Origin).OfType<string>().ToHashSet();
        return Steps().FirstOrDefault(s => !wasTried.Contains(s.Path));

        IEnumerable<TidyStep> Steps()
        {
            foreach (var d in volume.Datasets.Where(d => ZfsPlaces.IsPutAway(d, ledger) && isShown(d))) yield return new TidyStep.PutAway(d);
            foreach (var d in volume.Datasets.Where(d => IsCarrier(d) && d.Snapshots.Count == 0 && !isUsed(d))) yield return new TidyStep.Destroy(d);
            foreach (var s in volume.Snapshots.Where(s => s.IsGoing && !origins.Contains(s.Path))) yield return new TidyStep.DestroySnapshot(s);
            foreach (var d in volume.Datasets.Where(d => !isUsed(d) && Gains(d))) yield return new TidyStep.Promote(d);
        }

        bool IsCarrier(ZfsDataset d) => d.Live is null || ZfsPlaces.IsPutAway(d, ledger);

        // The live data owns its history. Else a clone takes over only what holds nothing newer, and so can go: it never goes to and fro.
        bool Gains(ZfsDataset clone)
        {
            if (clone.Origin is not { } origin || volume.Snapshots.FirstOrDefault(s => s.Path == origin) is not { } from) return false;
            var old = volume.Of(from);
            if (old == clone || isUsed(old) || IsLive(old)) return false;
            return IsLive(clone) || (IsCarrier(clone) && clone.Snapshots.Count > 0 && old.Newest == from);
        }
    }
}
