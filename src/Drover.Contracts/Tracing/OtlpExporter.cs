using System.Diagnostics;
using System.Net.Http.Headers;
using System.Threading.Channels;

namespace Drover.Contracts.Tracing;

/// <summary>Listens to <see cref="Traces"/> and posts what ended to a collector. Bounded: what the collector does not take in time is left out, and nobody waits for it.</summary>
public sealed class OtlpExporter : IAsyncDisposable
{
    private const int MostWaiting = 4096, MostAtOnce = 512;
    private static readonly TimeSpan Gather = TimeSpan.FromSeconds(1), Patience = TimeSpan.FromSeconds(10);
    private readonly Channel<Activity> _ended = Channel.CreateBounded<Activity>(new BoundedChannelOptions(MostWaiting) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });
    private readonly CancellationTokenSource _stop = new();
    private readonly ActivityListener _listener;
    private readonly HttpClient _http;
    private readonly OtlpSettings _settings;
    private readonly (string Name, string Value)[] _resource;
    private readonly TimeProvider _time;
    private readonly Action<string> _failed;
    private readonly Task _sending;
    private bool _said;

    /// <param name="resource">Of the process, beside its service's name: `drover.node`.</param>
    /// <param name="failed">Is told once each time that the collector begins to fail.</param>
    /// <param name="listensTo">Null: every span.</param>
    public OtlpExporter(OtlpSettings settings, IEnumerable<(string Name, string Value)> resource, TimeProvider time, Action<string> failed, Func<Activity, bool>? listensTo = null)
    {
        (_settings, _time, _failed) = (settings, time, failed);
        _resource = [("service.name", settings.Service), .. resource];
        _http = new HttpClient(new SocketsHttpHandler { ConnectTimeout = Patience }) { Timeout = Patience };
        _listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == Traces.Name,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = span => { if (listensTo?.Invoke(span) != false) _ended.Writer.TryWrite(span); },
        };
        ActivitySource.AddActivityListener(_listener);
        _sending = Task.Run(Send);
    }

    /// <summary>What has ended is posted before it returns, once.</summary>
    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        _ended.Writer.TryComplete();
        await _stop.CancelAsync();
        await _sending;
        _stop.Dispose();
        _http.Dispose();
    }

    private async Task Send()
    {
        while (await _ended.Reader.WaitToReadAsync())
        {
            // A moment for others to come along, unless the process ends.
            if (!_stop.IsCancellationRequested) await Task.Delay(Gather, _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            var batch = new List<Activity>();
            while (batch.Count < MostAtOnce && _ended.Reader.TryRead(out var span)) batch.Add(span);
            if (batch.Count > 0) await Post(batch);
        }
    }

    private async Task Post(List<Activity> batch)
    {
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, _settings.Endpoint) { Content = new ByteArrayContent(OtlpJson.Write(_resource, batch)) };
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
            foreach (var (name, value) in _settings.Headers) request.Headers.TryAddWithoutValidation(name, value);
            using var answer = await _http.SendAsync(request);
            Say(answer.IsSuccessStatusCode ? null : $"it answered {(int)answer.StatusCode}");
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException or IOException)
        {
            Say(e.Message);
        }
    }

    private void Say(string? why)
    {
        if (why is not null && !_said) _failed($"spans do not reach {_settings.Endpoint} ({why}): those of this time are left out");
        _said = why is not null;
    }
}
