using Drover.Faults.Lab;

namespace Drover.Faults.History;

/// <summary>Looks all the time whether writers on two nodes have the volume open.</summary>
public sealed class Watch(FaultLab lab) : IAsyncDisposable
{
    private static readonly TimeSpan Every = TimeSpan.FromMilliseconds(30);
    private readonly CancellationTokenSource _stop = new();
    private Task _watching = Task.CompletedTask;
    private int _moments;

    public int Moments => Volatile.Read(ref _moments);

    public void Begin() => _watching = Task.Run(Run, CancellationToken.None);

    private async Task Run()
    {
        using var tick = new PeriodicTimer(Every, lab.Time);
        try
        {
            var together = false;
            while (await tick.WaitForNextTickAsync(_stop.Token))
            {
                var now = Look();
                if (now && !together) Interlocked.Increment(ref _moments);
                together = now;
            }
        }
        catch (OperationCanceledException) { /* told to stop */ }
    }

    /// <summary>A writer of one node seen before and after one of another node was seen: both were there in between.</summary>
    private bool Look()
    {
        var seen = lab.Nodes.Select(lab.Writers).ToList();
        if (seen.Count(s => s.Count > 0) < 2) return false;
        return lab.Nodes.Select(lab.Writers).Zip(seen).Count(p => p.First.Intersect(p.Second).Any()) >= 2;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _watching;
        _stop.Dispose();
    }
}
