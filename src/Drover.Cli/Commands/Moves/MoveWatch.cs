using System.Runtime.CompilerServices;
using Drover.Cli.Control;
using Drover.Contracts.Api;

namespace Drover.Cli.Commands.Moves;

/// <summary>A move as it goes: read again at each event that names it, over restarts of the control plane.</summary>
internal static class MoveWatch
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    public static async IAsyncEnumerable<MoveView> Until(ControlClient client, MoveView first, [EnumeratorCancellation] CancellationToken cancel)
    {
        yield return first;
        if (first.EndedAt is not null) yield break;
        long after = -1;
        while (true)
        {
            await using var events = client.Events($"?kind=move{(after >= 0 ? $"&after={after}" : "")}", cancel).GetAsyncEnumerator(cancel);
            var open = true;
            while (open)
            {
                // Read before waiting: what happened between two connections is in the state, not in the stream.
                var seen = await TryRead(client, first.Id, cancel);
                if (seen is not null)
                {
                    yield return seen;
                    if (seen.EndedAt is not null) yield break;
                }
                open = seen is not null && await TryNext(events);
                while (open && events.Current.Move != first.Id) open = await TryNext(events);
                if (open) after = events.Current.Sequence;
            }
            after = -1;
            await Task.Delay(Pause, TimeProvider.System, cancel);
        }
    }

    private static async Task<MoveView?> TryRead(ControlClient client, string id, CancellationToken cancel)
    {
        try { return await client.Get($"/api/v1/moves/{Uri.EscapeDataString(id)}", ApiJson.Default.MoveView, cancel); }
        catch (CommandFailure failure) when (failure.ExitCode == ExitCode.Unreachable) { return null; /* it restarts: the move goes on, so do we */ }
    }

    private static async Task<bool> TryNext(IAsyncEnumerator<EventView> events)
    {
        try { return await events.MoveNextAsync(); }
        catch (Exception e) when (e is IOException or HttpRequestException) { return false; }
        catch (CommandFailure failure) when (failure.ExitCode == ExitCode.Unreachable) { return false; }
    }
}
