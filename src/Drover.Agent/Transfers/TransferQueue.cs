namespace Drover.Agent.Transfers;

/// <param name="Place">From 1.</param>
internal readonly record struct QueuePlace(int Place, int Running, int Limit)
{
    public override string ToString() => $"waits: {Place}{Ending} in the queue, {Running} {(Running == 1 ? "transfer runs" : "transfers run")} (limit {Limit})";

    private string Ending => (Place % 100) is >= 11 and <= 13 ? "th" : (Place % 10) switch { 1 => "st", 2 => "nd", 3 => "rd", _ => "th" };
}

/// <summary>So many transfers of one direction at a time; the others wait in the order they came and are told their place.</summary>
internal sealed class TransferQueue(int limit)
{
    private readonly Lock _gate = new();
    private readonly LinkedList<Waiter> _waiting = [];
    private int _running;
    private int _limit = limit;

    private sealed record Waiter(Action<QueuePlace> Told)
    {
        public TaskCompletionSource Turn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>Waits for a place; disposing gives it back.</summary>
    /// <param name="urgent">An app stands still for it, or it had its place before: it does not wait, and counts.</param>
    /// <param name="told">Its place, at once and whenever it changes; from any thread, must not wait.</param>
    public async Task<IDisposable> Enter(bool urgent, Action<QueuePlace> told, CancellationToken cancel)
    {
        LinkedListNode<Waiter>? mine = null;
        lock (_gate)
        {
            if (urgent || (_running < _limit && _waiting.Count == 0)) _running++;
            else mine = _waiting.AddLast(new Waiter(told));
        }
        if (mine is null) return new Slot(this);
        TellPlaces();
        try { await mine.Value.Turn.Task.WaitAsync(cancel); }
        catch (OperationCanceledException)
        {
            bool admitted;
            lock (_gate)
            {
                admitted = mine.List is null;
                if (!admitted) _waiting.Remove(mine);
            }
            if (admitted) Leave();
            else TellPlaces();
            throw;
        }
        return new Slot(this);
    }

    public void SetLimit(int limit)
    {
        lock (_gate)
        {
            if (limit == _limit) return;
            _limit = limit;
            Admit();
        }
        TellPlaces();
    }

    private void Leave()
    {
        lock (_gate)
        {
            _running--;
            Admit();
        }
        TellPlaces();
    }

    private void Admit()
    {
        while (_running < _limit && _waiting.First is { } first)
        {
            _waiting.RemoveFirst();
            _running++;
            first.Value.Turn.SetResult();
        }
    }

    private void TellPlaces()
    {
        List<(Waiter Waiter, QueuePlace Place)> places;
        lock (_gate) places = [.. _waiting.Select((w, i) => (w, new QueuePlace(i + 1, _running, _limit)))];
        foreach (var (waiter, place) in places) waiter.Told(place);
    }

    private sealed class Slot(TransferQueue queue) : IDisposable
    {
        private int _left;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _left, 1) == 0) queue.Leave();
        }
    }
}
