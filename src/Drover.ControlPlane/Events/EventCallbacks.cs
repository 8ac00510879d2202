using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using Drover.Contracts.Api;

namespace Drover.ControlPlane.Events;

/// <summary>Posts events to those who asked for it (/v2/eventSubscriptions), each in its own time: a queue of <see cref="EventRing.Backlog"/> for each, a time limit for each request, more tries with
/// longer pauses, and then what has gathered is dropped, which is said in the log and in the events. A subscriber stays until it is deleted.</summary>
public sealed class EventCallbacks(CallbackBook book, EventRing ring, TimeProvider time, ILogger<EventCallbacks> log, ControlPlaneOptions? options = null) : IHostedService, IDisposable
{
    public static readonly TimeSpan RequestTime = TimeSpan.FromSeconds(10);
    /// <summary>Before the second try and each further one.</summary>
    public static readonly IReadOnlyList<TimeSpan> Pauses = [.. new[] { 1, 2, 4, 8, 16 }.Select(s => TimeSpan.FromSeconds(s))];
    private readonly CancellationTokenSource _stop = new();
    private readonly Dictionary<string, (CancellationTokenSource End, Task Work)> _workers = new(StringComparer.Ordinal);
    private HttpClient? _http;
    private readonly SemaphoreSlim _arranging = new(1, 1);

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _http = new HttpClient(Handler()) { Timeout = Timeout.InfiniteTimeSpan };
        return Arrange(cancellationToken);
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_workers.Values.Select(w => w.Work)).WaitAsync(cancellationToken);
    }

    public void Dispose()
    {
        _http?.Dispose();
        _arranging.Dispose();
        _stop.Dispose();
    }

    /// <summary>One worker for each URL in the book. To be called after each change of it: who was added gets everything from then on.</summary>
    public async Task Arrange(CancellationToken cancel)
    {
        await _arranging.WaitAsync(cancel);
        try { await Match(cancel); }
        finally { _arranging.Release(); }
    }

    private async Task Match(CancellationToken cancel)
    {
        var wanted = (await book.All(cancel)).Select(c => c.Url).ToHashSet(StringComparer.Ordinal);
        foreach (var (url, worker) in _workers.Where(w => !wanted.Contains(w.Key)).ToList())
        {
            _workers.Remove(url);
            await worker.End.CancelAsync();
        }
        foreach (var url in wanted.Where(u => !_workers.ContainsKey(u)))
        {
            var end = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
            // Listens from here on: an event that comes before the worker runs is not missed.
            if (ring.Subscribe(after: null) is { } subscription) _workers[url] = (end, Work(url, subscription, end));
            else log.CallbackDropped(url, 0, $"{EventRing.MaxListeners} listen already; it gets none until the next change of subscriptions");
        }
    }

    private async Task Work(string url, Subscription subscription, CancellationTokenSource end)
    {
        await Task.Yield();
        try
        {
            while (true)
            {
                await Follow(url, subscription, end.Token);
                Dropped(url, EventRing.Backlog, "it takes them more slowly than they happen");
                subscription.Dispose();
                if (ring.Subscribe(after: null) is not { } again) return;
                subscription = again;
            }
        }
        catch (OperationCanceledException)
        {
            // It was deleted, or the process stops.
        }
        finally
        {
            subscription.Dispose();
            end.Dispose();
        }
    }

    private async Task Follow(string url, Subscription subscription, CancellationToken cancel)
    {
        await foreach (var happening in subscription.Live.ReadAllAsync(cancel))
        {
            foreach (var named in happening.Marathon)
            {
                if (await Tell(url, named, cancel) is not { } why) continue;
                var gathered = 1;
                while (subscription.Live.TryRead(out var more)) gathered += more.Marathon.Length;
                Dropped(url, gathered, why);
                break;
            }
        }
    }

    /// <summary>Null: it was taken. Else why not, after all tries.</summary>
    private async Task<string?> Tell(string url, NamedEvent named, CancellationToken cancel)
    {
        for (var failures = 0; ; failures++)
        {
            if (await Try(url, named, cancel) is not { } why) return null;
            if (failures == Pauses.Count) return $"{failures + 1} tries failed, the last one since {why}";
            await Task.Delay(Pauses[failures], time, cancel);
        }
    }

    private async Task<string?> Try(string url, NamedEvent named, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(RequestTime, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new ReadOnlyMemoryContent(named.Data) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } } };
            // Its headers are all that is read of the answer.
            using var response = await _http!.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
            return response.IsSuccessStatusCode ? null : $"it answered {(int)response.StatusCode}";
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancel.IsCancellationRequested)
        {
            return $"it did not answer within {RequestTime.TotalSeconds:0} s";
        }
        catch (HttpRequestException fault)
        {
            return fault.Message;
        }
    }

    private void Dropped(string url, int count, string why)
    {
        log.CallbackDropped(url, count, why);
        Observability.Meters.Events.NotTaken(count);
        ring.Put(sequence => new(new EventView(sequence, time.GetUtcNow(), "callback.dropped", url, $"{count} events for {url} were dropped: {why}", null, null, null, null, null, null, null), []));
    }

    private SocketsHttpHandler Handler() => new()
    {
        // Wherever an answer or an environment points, events go where was asked and judged.
        AllowAutoRedirect = false, UseProxy = false, UseCookies = false,
        ConnectTimeout = RequestTime, MaxResponseHeadersLength = 16, PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1),
        ConnectCallback = Connect,
    };

    /// <summary>The addresses of a name are judged at each connection: it may point elsewhere by now.</summary>
    private async ValueTask<Stream> Connect(SocketsHttpConnectionContext context, CancellationToken cancel)
    {
        var loopback = options is null || IPAddress.IsLoopback(options.Http.Address);
        var addresses = await Dns.GetHostAddressesAsync(context.DnsEndPoint.Host, cancel);
        var open = addresses.Where(a => CallbackRules.AddressRefusal(a, loopback) is null).ToArray();
        if (open.Length == 0) throw new HttpRequestException(addresses.Length == 0 ? $"'{context.DnsEndPoint.Host}' has no address" : CallbackRules.AddressRefusal(addresses[0], loopback));
#pragma warning disable RS0030 // Only here can a connection be made to an address that was judged, and not to what the name says a moment later.
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(open, context.DnsEndPoint.Port, cancel);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
#pragma warning restore RS0030
    }
}
