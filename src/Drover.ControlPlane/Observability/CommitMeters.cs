namespace Drover.ControlPlane.Observability;

/// <summary>Counts what commits bring. It hears each of them once and in order, as part of the commit: what it does is quick and cannot fail.</summary>
public interface ICommitMeter
{
    void Seen(Committed commit);
}

public sealed class CommitMeters(IEnumerable<ICommitMeter> meters, ILogger<CommitMeters> log)
{
    private readonly ICommitMeter[] _meters = [.. meters];

    public void Seen(Committed commit)
    {
        foreach (var meter in _meters)
        {
            try { meter.Seen(commit); }
            // The commit stands whatever is counted of it.
            catch (Exception fault) { log.LogError(fault, "{Meter} could not count a commit", meter.GetType().Name); }
        }
    }
}

/// <summary>Things as they are after each change of one commit: it may change the same thing several times.</summary>
internal sealed class Followed<TKey, T>(IReadOnlyDictionary<TKey, T> before) where TKey : notnull where T : class
{
    private readonly Dictionary<TKey, T?> _now = [];

    /// <returns>What it was until now; null: it was not there.</returns>
    public T? Becomes(TKey key, T? now)
    {
        var was = _now.TryGetValue(key, out var seen) ? seen : before.GetValueOrDefault(key);
        _now[key] = now;
        return was;
    }
}
