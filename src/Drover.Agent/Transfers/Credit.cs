namespace Drover.Agent.Transfers;

/// <summary>Bytes of data the sender may still have outstanding. One taker.</summary>
internal sealed class Credit
{
    private readonly Lock _gate = new();
    private long _left;
    private TaskCompletionSource? _more;

    public void Set(long bytes)
    {
        lock (_gate) _left = bytes;
    }

    public void Grant(long bytes)
    {
        TaskCompletionSource? wake;
        lock (_gate)
        {
            _left += bytes;
            (wake, _more) = (_more, null);
        }
        wake?.TrySetResult();
    }

    /// <summary>Exactly so many, as they come.</summary>
    public async ValueTask TakeAll(int bytes, CancellationToken cancel)
    {
        while (bytes > 0) bytes -= await Take(bytes, cancel);
    }

    /// <summary>Between one and <paramref name="most"/> bytes; waits for the receiver while there are none.</summary>
    public async ValueTask<int> Take(int most, CancellationToken cancel)
    {
        while (true)
        {
            Task wait;
            lock (_gate)
            {
                if (_left > 0)
                {
                    var taken = (int)Math.Min(most, _left);
                    _left -= taken;
                    return taken;
                }
                _more ??= new(TaskCreationOptions.RunContinuationsAsynchronously);
                wait = _more.Task;
            }
            await wait.WaitAsync(cancel);
        }
    }
}
