using System.Text.Json;
using System.Threading.Channels;
using Drover.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>Takes what is posted to it, and answers as a test says.</summary>
public sealed class CallbackReceiver : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly Channel<(string Path, JsonElement Body)> _posted = Channel.CreateUnbounded<(string, JsonElement)>();

    private CallbackReceiver()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        _app.Run(async context =>
        {
            using var body = await JsonDocument.ParseAsync(context.Request.Body);
            // Decided before the test hears of it: what it says next is of the next request.
            var answer = Answers(context);
            _posted.Writer.TryWrite((context.Request.Path, body.RootElement.Clone()));
            await answer;
        });
    }

    /// <summary>What is done with a request that has been read; by itself 200.</summary>
    public Func<HttpContext, Task> Answers { get; set; } = _ => Task.CompletedTask;
    public string Address { get; private set; } = "";

    public static async Task<CallbackReceiver> Start()
    {
        var receiver = new CallbackReceiver();
        await receiver._app.StartAsync();
        receiver.Address = receiver._app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        return receiver;
    }

    /// <summary>The next event posted.</summary>
    public async Task<JsonElement> Next()
    {
        using var limit = new CancellationTokenSource(TestCluster.Patience);
        return (await _posted.Reader.ReadAsync(limit.Token)).Body;
    }

    /// <summary>The next event of that type.</summary>
    public async Task<JsonElement> Until(string type)
    {
        while (true)
            if (await Next() is var seen && seen.GetProperty("eventType").GetString() == type) return seen;
    }

    /// <summary>Has something been posted that was not read?</summary>
    public bool More => _posted.Reader.TryPeek(out _);

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();
}
