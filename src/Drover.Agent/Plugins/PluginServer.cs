using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Drover.Agent.Plugins;

/// <summary>Docker's plugin socket `drover.sock` (legacy plugin protocol, docs/extend/plugin_api.md of docker/cli).</summary>
/// <remarks>Listens before the control plane can be reached, so that the daemon gets a reason instead of a time-out. The socket's file stays
/// when the agent stops: the daemon then tries again for up to half a minute, which covers a restart of the agent.</remarks>
public sealed class PluginServer(IEnumerable<IPluginProtocol> protocols, AgentOptions options, ILoggerFactory logs) : IHostedService, IAsyncDisposable
{
    private const int BodyBytesMaximum = 1 << 20;
    private readonly IPluginProtocol[] _protocols = [.. protocols];
    private readonly ILogger _log = logs.CreateLogger<PluginServer>();
    private WebApplication? _app;

    public string SocketPath { get; } = Path.Combine(options.PluginFolder, "drover.sock");

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(options.PluginFolder);
        // A socket file of an earlier run refuses connections and cannot be bound again; it holds nothing.
        File.Delete(SocketPath);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton(logs);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.ListenUnixSocket(SocketPath);
            kestrel.Limits.MaxRequestBodySize = BodyBytesMaximum;
            kestrel.AddServerHeader = false;
        });
        _app = builder.Build();
        _app.Run(Answer);
        await _app.StartAsync(cancellationToken);
        // Whoever can call a plugin can rewire containers: for root alone.
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(SocketPath, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        _log.LogInformation("Docker plugin listens on {Socket} for {Protocols}", SocketPath, string.Join(", ", _protocols.Select(p => p.Name)));
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (_app is not null) await _app.StopAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        if (_app is not null) await _app.DisposeAsync();
        _app = null;
    }

    private async Task Answer(HttpContext context)
    {
        var call = context.Request.Path.Value ?? "";
        PluginAnswer answer;
        try
        {
            // Read by hand: the daemon sends no Content-Type, and often no body.
            var body = new ArrayBufferWriter<byte>();
            while (true)
            {
                var read = await context.Request.BodyReader.ReadAsync(context.RequestAborted);
                foreach (var part in read.Buffer) body.Write(part.Span);
                context.Request.BodyReader.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) break;
            }
            answer = await Dispatch(call, body.WrittenMemory, context.RequestAborted);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            return; // The daemon hung up: nobody reads an answer.
        }
        catch (JsonException e)
        {
            answer = PluginAnswers.Refused($"{call}: the body is not what this call takes: {e.Message}");
        }
        catch (Exception e)
        {
            _log.LogError(e, "Docker plugin call {Call} failed", call);
            answer = PluginAnswers.Refused($"drover: {e.Message}", StatusCodes.Status500InternalServerError);
        }
        context.Response.StatusCode = answer.Status;
        context.Response.ContentType = "application/vnd.docker.plugins.v1.2+json";
        context.Response.ContentLength = answer.Json.Length;
        await context.Response.Body.WriteAsync(answer.Json, context.RequestAborted);
    }

    private async Task<PluginAnswer> Dispatch(string call, ReadOnlyMemory<byte> body, CancellationToken cancel)
    {
        if (call == "/Plugin.Activate") return PluginAnswers.Ok(new Activation([.. _protocols.Select(p => p.Name)]), PluginJson.Default.Activation);
        var parts = call.Split('.', 2);
        var protocol = parts.Length == 2 ? _protocols.FirstOrDefault(p => "/" + p.Name == parts[0]) : null;
        var answer = protocol is null ? null : await protocol.Call(parts[1], body, cancel);
        if (answer is { Status: not 200 }) _log.LogWarning("Docker plugin call {Call} refused: {Answer}", call, System.Text.Encoding.UTF8.GetString(answer.Json.Span));
        return answer ?? PluginAnswers.Refused($"drover has no call {call}", StatusCodes.Status404NotFound);
    }
}
