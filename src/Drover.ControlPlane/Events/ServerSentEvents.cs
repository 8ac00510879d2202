using System.Text;
using System.Threading.Channels;

namespace Drover.ControlPlane.Events;

/// <summary>Writes a stream of server-sent events (WHATWG HTML, 9.2).</summary>
public static class ServerSentEvents
{
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(15);
    private static readonly byte[] Comment = ":\n\n"u8.ToArray();

    public static async Task Begin(HttpContext context)
    {
        context.Response.ContentType = "text/event-stream";
        // Streams are not for proxies to gather.
        context.Response.Headers["X-Accel-Buffering"] = "no";
        await context.Response.Body.FlushAsync(context.RequestAborted);
    }

    public static async Task Write(HttpContext context, string? id, string name, string data, CancellationToken cancel)
    {
        var frame = new StringBuilder();
        if (id is not null) frame.Append("id: ").Append(id).Append('\n');
        frame.Append("event: ").Append(name).Append('\n').Append("data: ").Append(data).Append("\n\n");
        await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(frame.ToString()), cancel);
        await context.Response.Body.FlushAsync(cancel);
    }

    /// <summary>Passes live happenings on until the client leaves, the server stops or the client is cut off for being slow. A comment every 15 s shows a dead connection.</summary>
    public static async Task Follow(HttpContext context, ChannelReader<Happening> live, TimeProvider time, Func<Happening, CancellationToken, Task> write, CancellationToken cancel)
    {
        using var beat = new PeriodicTimer(Heartbeat, time);
        var tick = beat.WaitForNextTickAsync(cancel).AsTask();
        var ready = live.WaitToReadAsync(cancel).AsTask();
        while (true)
        {
            await Task.WhenAny(tick, ready);
            if (ready.IsCompleted)
            {
                if (!await ready) return;
                while (live.TryRead(out var happening)) await write(happening, cancel);
                ready = live.WaitToReadAsync(cancel).AsTask();
            }
            if (!tick.IsCompleted) continue;
            await tick;
            await context.Response.Body.WriteAsync(Comment, cancel);
            await context.Response.Body.FlushAsync(cancel);
            tick = beat.WaitForNextTickAsync(cancel).AsTask();
        }
    }
}
