using System.Threading.Channels;

namespace Drover.ControlPlane.Apps;

/// <summary>A loop that looks at the cluster after commits that concern it and at moments it named itself, one pass at a time. Commits that come during a pass are seen by the next.</summary>
public abstract class WakingLoop(ICluster cluster, TimeProvider time, ILogger log) : BackgroundService
{
    private static readonly TimeSpan AfterFailure = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Longest = TimeSpan.FromDays(1);

    // One place: being woken twice before a pass is the same as once.
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    protected ICluster Cluster => cluster;
    protected TimeProvider Time => time;

    protected void Wake() => _wake.Writer.TryWrite(true);

    /// <summary>False: there is nothing in this commit that a pass would look at. Called for each, beside a pass.</summary>
    protected virtual bool Concerns(Committed commit) => commit.Missed || !commit.Changes.IsEmpty;

    /// <summary>Does what is to be done now.</summary>
    /// <returns>Moment at which to look again though nothing changed; null: none.</returns>
    protected abstract Task<DateTimeOffset?> Pass(CancellationToken cancel);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await using var timer = time.CreateTimer(_ => Wake(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        var commits = Listen(cluster.Watch(stoppingToken), stoppingToken);
        Wake();
        try
        {
            await foreach (var _ in _wake.Reader.ReadAllAsync(stoppingToken)) Schedule(timer, await Guarded(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            log.LogDebug("{Loop} stops", GetType().Name);
        }
        await commits;
    }

    private async Task<DateTimeOffset?> Guarded(CancellationToken cancel)
    {
        var (began, failed) = (time.GetTimestamp(), false);
        try
        {
            return await Pass(cancel);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            log.LogError(e, "{Loop} failed and looks again in {Seconds} s", GetType().Name, AfterFailure.TotalSeconds);
            failed = true;
            return time.GetUtcNow() + AfterFailure;
        }
        finally
        {
            Observability.Meters.Loops.Passed(GetType().Name, failed, time.GetElapsedTime(began));
        }
    }

    private void Schedule(ITimer timer, DateTimeOffset? next)
    {
        if (next is not { } at)
        {
            timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            return;
        }
        var due = at - time.GetUtcNow();
        timer.Change(due < TimeSpan.Zero ? TimeSpan.Zero : due > Longest ? Longest : due, Timeout.InfiniteTimeSpan);
    }

    private async Task Listen(IAsyncEnumerable<Committed> commits, CancellationToken cancel)
    {
        try
        {
            await foreach (var commit in commits) if (Concerns(commit)) Wake();
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            log.LogDebug("{Loop} no longer watches", GetType().Name);
        }
    }
}
