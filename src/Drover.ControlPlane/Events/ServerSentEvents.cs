using System.Buffers;
using System.Text;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Drover.ControlPlane.Events;

/// <summary>Why a stream of events ended.</summary>
public enum StreamEnd { Left, Stopping, Behind }

/// <summary>Writes a stream of server-sent events (WHATWG HTML, 9.2).</summary>
public static class ServerSentEvents
{
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(15);
    /// <summary>How long a listener that fell behind may still take to read what lies before the reason.</summary>
    public static readonly TimeSpan LastWords = TimeSpan.FromSeconds(5);
    private const int FramesAFlush = 64;
    private static readonly byte[] Comment = ":\n\n"u8.ToArray();

    public static byte[] Frame(string? id, string name, ReadOnlySpan<byte> data)
    {
        var frame = new ArrayBufferWriter<byte>(data.Length + 64);
        if (id is not null) Encoding.UTF8.GetBytes($"id: {id}\n", frame);
        Encoding.UTF8.GetBytes($"event: {name}\ndata: ", frame);
        frame.Write(data);
        frame.Write("\n\n"u8);
        return frame.WrittenSpan.ToArray();
    }

    public static async Task Begin(HttpContext context)
    {
        context.Response.ContentType = "text/event-stream";
        // Streams are not for proxies to gather.
        context.Response.Headers["X-Accel-Buffering"] = "no";
        // How slow a reader may be is ours to say, by what it is behind.
        if (context.Features.Get<IHttpMinResponseDataRateFeature>() is { } rate) rate.MinDataRate = null;
        await context.Response.Body.FlushAsync(context.RequestAborted);
    }

    public static async Task Write(HttpContext context, ReadOnlyMemory<byte> frame, CancellationToken cancel)
    {
        await context.Response.Body.WriteAsync(frame, cancel);
        await context.Response.Body.FlushAsync(cancel);
    }

    /// <summary>Passes happenings on until the client leaves, the server stops or the client is too far behind; then it gets <paramref name="reason"/> as its last frame, if it reads at all.</summary>
    /// <remarks>A comment every 15 s shows a dead connection.</remarks>
    /// <param name="frames">What of a happening this listener gets.</param>
    public static async Task<StreamEnd> Run(
        HttpContext context, Subscription subscription, TimeProvider time, Func<Happening, IEnumerable<ReadOnlyMemory<byte>>> frames, Func<ReadOnlyMemory<byte>> reason, CancellationToken stopping)
    {
        using var patience = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
        await using var cut = subscription.Cut.Register(() => patience.CancelAfter(LastWords));
        using var either = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, patience.Token, stopping);
        try
        {
            await Follow(context, subscription, time, frames, either.Token);
            await Write(context, reason(), either.Token);
            return StreamEnd.Behind;
        }
        catch (OperationCanceledException)
        {
            var end = context.RequestAborted.IsCancellationRequested ? StreamEnd.Left : patience.IsCancellationRequested ? StreamEnd.Behind : StreamEnd.Stopping;
            context.Abort();
            return end;
        }
    }

    private static async Task Follow(HttpContext context, Subscription subscription, TimeProvider time, Func<Happening, IEnumerable<ReadOnlyMemory<byte>>> frames, CancellationToken cancel)
    {
        using var beat = new PeriodicTimer(Heartbeat, time);
        var live = subscription.Live;
        var tick = beat.WaitForNextTickAsync(cancel).AsTask();
        var ready = live.WaitToReadAsync(cancel).AsTask();
        while (true)
        {
            await Task.WhenAny(tick, ready);
            if (ready.IsCompleted)
            {
                if (!await ready) return;
                await Drain(context, live, frames, cancel);
                ready = live.WaitToReadAsync(cancel).AsTask();
            }
            if (!tick.IsCompleted) continue;
            await tick;
            await Write(context, Comment, cancel);
            tick = beat.WaitForNextTickAsync(cancel).AsTask();
        }
    }

    private static async Task Drain(HttpContext context, System.Threading.Channels.ChannelReader<Happening> live, Func<Happening, IEnumerable<ReadOnlyMemory<byte>>> frames, CancellationToken cancel)
    {
        var unflushed = 0;
        while (live.TryRead(out var happening))
        {
            foreach (var frame in frames(happening))
            {
                await context.Response.Body.WriteAsync(frame, cancel);
                unflushed++;
            }
            if (unflushed < FramesAFlush) continue;
            await context.Response.Body.FlushAsync(cancel);
            unflushed = 0;
        }
        if (unflushed > 0) await context.Response.Body.FlushAsync(cancel);
    }
}
