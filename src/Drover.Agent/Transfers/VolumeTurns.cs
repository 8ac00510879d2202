using Drover.Core;

namespace Drover.Agent.Transfers;

/// <summary>
/// One incoming transfer for a volume at a time; the newest wins. Its sender holds a newer ticket, and the older connection may be dead without knowing:
/// waiting for it would cost the cutover seconds.
/// </summary>
internal sealed class VolumeTurns
{
    private readonly Lock _gate = new();
    private readonly Dictionary<VolumeName, Turn> _turns = [];

    /// <summary>Calls off the transfer that is under way and waits until it has cleaned up.</summary>
    public async Task<Turn> Take(VolumeName volume, CancellationToken cancel)
    {
        var mine = new Turn(this, volume, cancel);
        Turn? before;
        lock (_gate)
        {
            _turns.TryGetValue(volume, out before);
            _turns[volume] = mine;
        }
        if (before is not null)
        {
            await before.CallOff();
            try { await before.Ended.WaitAsync(cancel); }
            catch { mine.Dispose(); throw; }
        }
        return mine;
    }

    internal sealed class Turn(VolumeTurns all, VolumeName volume, CancellationToken cancel) : IDisposable
    {
        private readonly CancellationTokenSource _called = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public CancellationToken Cancelled => _called.Token;
        public Task Ended => _ended.Task;

        public async Task CallOff()
        {
            try { await _called.CancelAsync(); }
            catch (ObjectDisposedException) { /* it ended by itself meanwhile: what we wanted */ }
        }

        public void Dispose()
        {
            lock (all._gate)
                if (all._turns.GetValueOrDefault(volume) == this) all._turns.Remove(volume);
            _ended.TrySetResult();
            _called.Dispose();
        }
    }
}
