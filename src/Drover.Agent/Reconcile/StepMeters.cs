using System.Diagnostics.Metrics;
using Drover.Contracts.Agent;
using Drover.Contracts.Metrics;

namespace Drover.Agent.Reconcile;

/// <summary>Steps of moves and of work on volumes, and what the rounds among them carried.</summary>
public sealed class StepMeters
{
    private readonly TimeProvider _time;
    private readonly UpDownCounter<long> _underWay;
    private readonly Counter<long> _steps, _bytes, _wire, _resent, _redials;
    private readonly Histogram<double> _seconds;

    public StepMeters(MetricBook book, TimeProvider time)
    {
        _time = time;
        var slice = book.Slice("Drover.Agent.Steps");
        _underWay = slice.Level("drover_agent_steps_under_way", "Steps at work now.", "step");
        _steps = slice.Counter("drover_agent_steps_total", "Steps that ended, by what they do; outcome: `done`, `failed`, `cancelled`.", "step", "outcome");
        _seconds = slice.Histogram("drover_agent_step_seconds", "How long steps took that were done.", MetricSlice.Work, "step");
        _bytes = slice.Counter("drover_agent_sent_bytes_total", "Bytes of volumes' streams sent to other nodes, of rounds that were completed.");
        _wire = slice.Counter("drover_agent_sent_wire_bytes_total", "The same as bytes on the wire: fewer where they were compressed.");
        _resent = slice.Counter("drover_agent_resent_bytes_total", "Of the streams, bytes sent again because a connection broke.");
        _redials = slice.Counter("drover_agent_redials_total", "Connections of transfers that broke and were dialled again.");
    }

    /// <summary>Does a step and counts it.</summary>
    public async Task<StepResult> Measure(Step step, Func<Task<StepResult>> work, CancellationToken cancel)
    {
        var (began, outcome, kind) = (_time.GetTimestamp(), "failed", new KeyValuePair<string, object?>("step", Name(step)));
        _underWay.Add(1, kind);
        try
        {
            var result = await work();
            if (result.Error.Length > 0) return result;
            outcome = "done";
            _seconds.Record(_time.GetElapsedTime(began).TotalSeconds, kind);
            if (result.Round is { } round) Sent(round);
            return result;
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            outcome = "cancelled";
            throw;
        }
        finally
        {
            _underWay.Add(-1, kind);
            _steps.Add(1, kind, new("outcome", outcome));
        }
    }

    private void Sent(RoundOutcome round)
    {
        _bytes.Add(round.Bytes);
        _wire.Add(round.WireBytes);
        _resent.Add(round.ResentBytes);
        _redials.Add(round.Redials);
    }

    /// <summary>As the protocol calls it; a round after the app's stop is another thing than one before.</summary>
    private static string Name(Step step) => step.WorkCase == Step.WorkOneofCase.Round ? step.Round.Final ? "final_round" : "round" : Words(step.WorkCase.ToString());

    private static string Words(string name) => string.Concat(name.Select((c, i) => char.IsUpper(c) ? $"{(i > 0 ? "_" : "")}{char.ToLowerInvariant(c)}" : $"{c}"));
}
