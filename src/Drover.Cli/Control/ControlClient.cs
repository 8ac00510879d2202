using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Drover.Contracts.Api;

namespace Drover.Cli.Control;

/// <summary>The control plane's HTTP API as anyone may use it: no call here that curl could not make.</summary>
public sealed class ControlClient(Uri control, Credentials credentials) : IDisposable
{
    private readonly HttpClient _http = new(Credentials.Handler(credentials.Trusted(control)))
    {
        BaseAddress = control, Timeout = Timeout.InfiniteTimeSpan,
        DefaultRequestHeaders = { Authorization = credentials.Token is { } token ? new AuthenticationHeaderValue("Bearer", token) : null },
    };

    public ControlClient(Uri control) : this(control, Credentials.None) { }

    public Uri Control { get; } = control;

    public void Dispose() => _http.Dispose();

    public async Task<T> Get<T>(string path, JsonTypeInfo<T> type, CancellationToken cancel) =>
        JsonSerializer.Deserialize(await Text(HttpMethod.Get, path, null, cancel), type) ?? throw Unreadable(path);

    public async Task<TOut> Post<TIn, TOut>(string path, TIn body, JsonTypeInfo<TIn> sent, JsonTypeInfo<TOut> type, CancellationToken cancel) =>
        JsonSerializer.Deserialize(await Text(HttpMethod.Post, path, JsonSerializer.Serialize(body, sent), cancel), type) ?? throw Unreadable(path);

    public async Task<JsonNode> GetJson(string path, CancellationToken cancel) => JsonNode.Parse(await Text(HttpMethod.Get, path, null, cancel)) ?? throw Unreadable(path);

    public async Task<JsonNode?> SendJson(HttpMethod method, string path, string? body, CancellationToken cancel)
    {
        var text = await Text(method, path, body, cancel);
        return text.Length == 0 ? null : JsonNode.Parse(text);
    }

    public async Task<string> Text(HttpMethod method, string path, string? body, CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(method, Straight(path));
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await Send(request, HttpCompletionOption.ResponseContentRead, cancel);
        return await response.Content.ReadAsStringAsync(cancel);
    }

    /// <summary>A body that comes as it is made (logs).</summary>
    public async Task CopyTo(string path, Stream to, CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, Straight(path));
        using var response = await Send(request, HttpCompletionOption.ResponseHeadersRead, cancel);
        await using var from = await response.Content.ReadAsStreamAsync(cancel);
        var buffer = new byte[16 * 1024];
        int n;
        while ((n = await from.ReadAsync(buffer, cancel)) > 0)
        {
            await to.WriteAsync(buffer.AsMemory(0, n), cancel);
            await to.FlushAsync(cancel);
        }
    }

    /// <summary>A long body, read as it comes.</summary>
    public async Task Download(string path, Func<Stream, Task> read, CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, Straight(path));
        using var response = await Send(request, HttpCompletionOption.ResponseHeadersRead, cancel);
        await using var from = await response.Content.ReadAsStreamAsync(cancel);
        await read(from);
    }

    /// <summary>Sends a long body. The server is asked first whether it wants it.</summary>
    public async Task<T> Upload<T>(string path, Stream body, JsonTypeInfo<T> type, CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Straight(path)) { Content = new StreamContent(body, 256 * 1024), Headers = { ExpectContinue = true } };
        request.Content.Headers.ContentType = new("application/octet-stream");
        using var response = await Send(request, HttpCompletionOption.ResponseContentRead, cancel);
        return JsonSerializer.Deserialize(await response.Content.ReadAsStringAsync(cancel), type) ?? throw Unreadable(path);
    }

    /// <summary>Server-sent events. Ends when the server closes; the caller connects again with the last sequence it saw.</summary>
    public async IAsyncEnumerable<EventView> Events(string query, [EnumeratorCancellation] CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/v1/events{query}");
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
        using var response = await Send(request, HttpCompletionOption.ResponseHeadersRead, cancel);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancel));
        while (await reader.ReadLineAsync(cancel) is { } line)
        {
            if (!line.StartsWith("data:", StringComparison.Ordinal)) continue;
            if (JsonSerializer.Deserialize(line.AsSpan(5).Trim(), ApiJson.Default.EventView) is { } seen) yield return seen;
        }
    }

    private async Task<HttpResponseMessage> Send(HttpRequestMessage request, HttpCompletionOption completion, CancellationToken cancel)
    {
        HttpResponseMessage response;
        try
        {
            response = await _http.SendAsync(request, completion, cancel);
        }
        catch (HttpRequestException e)
        {
            throw new CommandFailure(
                $"the control plane does not answer at {Control} ({(e.InnerException is System.Security.Authentication.AuthenticationException ? "its certificate is not trusted: give --ca FILE or --ca-pin HEX" : e.Message)}). Is it running (`drover lab up`, or the service drover-control)? Another address: --control URL or DROVER_CONTROL",
                ExitCode.Unreachable);
        }
        if (response.IsSuccessStatusCode) return response;
        using (response) throw Refused(response.StatusCode, await response.Content.ReadAsStringAsync(cancel), response.Headers.RetryAfter?.Delta);
    }

    /// <summary>Both error forms, Drover's and Marathon's, as one message.</summary>
    internal static CommandFailure Refused(HttpStatusCode code, string body, TimeSpan? retryAfter = null)
    {
        var exit = code == HttpStatusCode.NotFound ? ExitCode.NotFound : ExitCode.Failed;
        JsonNode? error = null;
        try { error = JsonNode.Parse(body); }
        catch (JsonException) { /* not JSON: shown as it came */ }
        if (error is not JsonObject refusal || refusal["message"] is null) return new($"{(int)code} {code}: {body.Trim()}", exit);
        var text = new StringBuilder((string?)refusal["message"]);
        if ((string?)refusal["field"] is { } field) text.Insert(0, $"{field}: ");
        if (refusal["details"] is JsonArray details)
        {
            foreach (var detail in details)
                text.Append(Environment.NewLine).Append("  ").Append((string?)detail?["path"]).Append(": ")
                    .AppendJoin("; ", (detail?["errors"] as JsonArray)?.Select(e => (string?)e) ?? []);
        }
        else if (refusal["details"] is JsonValue words) text.Append(": ").Append(words);
        if (refusal["deployments"] is JsonArray { Count: > 0 } locks)
            text.Append(Environment.NewLine).Append("  Locked by deployment ").AppendJoin(", ", locks.Select(d => (string?)d?["id"])).Append(": `drover status` says what it waits for; --force takes over");
        if ((string?)refusal["remedy"] is { Length: > 0 } remedy) text.Append(". ").Append(remedy);
        return new(text.ToString(), exit) { RetryAfter = retryAfter };
    }

    /// <summary>A name with a slash, or of dots alone, would lead to another place than the one meant.</summary>
    internal static string Straight(string path)
    {
        foreach (var part in path.Split('?')[0].Split('/'))
            if (part is "." or ".." || part.Contains("%2F", StringComparison.OrdinalIgnoreCase))
                throw new CommandFailure($"'{Uri.UnescapeDataString(part)}' is no name: a name has no slashes, and more than dots");
        return path;
    }

    private static CommandFailure Unreadable(string path) => new($"the control plane answered nothing that can be read at {path}");
}
