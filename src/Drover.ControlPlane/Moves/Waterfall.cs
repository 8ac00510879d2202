using Drover.Contracts.Api;
using Drover.Core;
using Drover.Core.Moves;

namespace Drover.ControlPlane.Moves;

/// <summary>The cutover span by span, from what the move stores.</summary>
public static class Waterfall
{
    /// <summary>null: nothing was stopped yet.</summary>
    /// <remarks>Spans that agents measured keep their length; where they lie is reckoned from the control plane's moments around them. `commit` is what lies between
    /// the verified data and the start at the target: the store's commit and the order's way.</remarks>
    public static WaterfallView? Of(Move move)
    {
        var timings = move.Timings;
        if (timings.StopRequestedAt is not { } zero) return null;
        var spans = new List<SpanView>();
        double Since(DateTimeOffset moment) => Math.Max(0, (moment - zero).TotalMilliseconds);
        var at = 0.0;
        void Span(string name, NodeId node, TimeSpan? length, double from)
        {
            if (length is not { } known) return;
            spans.Add(new(name, node.Value, from, known.TotalMilliseconds));
            at = from + known.TotalMilliseconds;
        }

        if (timings.AppStop is { } stop) Span("app stop", move.Source, stop, Math.Max(0, (timings.StoppedAt is { } stopped ? Since(stopped) : 0) - stop.TotalMilliseconds));
        var data = timings.StoppedAt is { } ended ? Math.Max(at, Since(ended)) : at;
        Span("snapshot", move.Source, timings.FinalSnapshot, data);
        Span("send", move.Source, timings.FinalSend, Math.Max(at, data));
        Span("receive", move.Target, timings.FinalSync, at);
        Start(move, Since, Span);
        return new(spans, timings.AppStop?.TotalMilliseconds, timings.AppStart?.TotalMilliseconds, timings.Cutover?.TotalMilliseconds, timings.Added?.TotalMilliseconds);
    }

    private static void Start(Move move, Func<DateTimeOffset, double> since, Action<string, NodeId, TimeSpan?, double> span)
    {
        var timings = move.Timings;
        if (timings.ServingAt is not { } serving || timings.VerifiedAt is not { } verified) return;
        var starts = timings.StartRequestedAt ?? serving;
        var promotes = starts - (timings.Promote ?? TimeSpan.Zero);
        if (promotes < verified) promotes = verified;
        span("commit", move.Target, promotes - verified, since(verified));
        span("promote", move.Target, timings.Promote, since(promotes));
        if (timings.AppStart is not { } own) return;
        var answer = timings.FirstAnswer is { } first && first <= own ? first : TimeSpan.Zero;
        span("start", move.Target, own - answer, since(starts));
        span("first answer", move.Target, answer, since(starts + own - answer));
    }
}
