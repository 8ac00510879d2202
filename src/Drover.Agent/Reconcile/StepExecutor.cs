using System.Diagnostics;
using Drover.Contracts.Agent;
using Drover.Contracts.Hosting;
using Drover.Contracts.Tracing;
using Drover.Core;

namespace Drover.Agent.Reconcile;

/// <summary>What a step came to when it could not be done.</summary>
public sealed class StepFailed(StepErrorKind kind, string message) : Exception(message)
{
    public StepErrorKind Kind { get; } = kind;
}

/// <summary>Does the work of one step. Repeatable: what is done already is left as it is.</summary>
public interface IStepWork
{
    Task<StepResult> Do(Step step, Action<StepProgress> progress, CancellationToken cancel);
}

/// <summary>Runs the steps of moves, each id once: the same id again waits for the one at work, or gets its answer again.</summary>
public sealed class StepExecutor(IStepWork work, IObservations observations, ILogger<StepExecutor> log, StepMeters? meters = null) : IAsyncDisposable
{
    private const int AnswersKept = 256;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Running> _running = [];
    private readonly Dictionary<string, StepResult> _answers = [];
    private readonly Queue<string> _answerOrder = new();

    private sealed record Running(CancellationTokenSource Cancel, Task Work);

    /// <summary>Begins the step, or answers it. The result comes as an observation.</summary>
    public void Accept(Step step)
    {
        lock (_gate)
        {
            if (_running.ContainsKey(step.StepId)) return; // at work: its result will be told
            if (_answers.TryGetValue(step.StepId, out var answer))
            {
                observations.Tell(new FromAgent { Result = answer });
                return;
            }
            var cancel = new CancellationTokenSource();
            _running[step.StepId] = new(cancel, Task.Run(() => Run(step, cancel), CancellationToken.None));
        }
    }

    /// <summary>The step ends as soon as it can; its result says so.</summary>
    public void Cancel(string stepId)
    {
        lock (_gate)
            if (_running.TryGetValue(stepId, out var running)) running.Cancel.Cancel();
    }

    private async Task Run(Step step, CancellationTokenSource cancel)
    {
        StepResult result;
        using var span = Traces.Begin($"step {step.WorkCase}", step.TraceParent, ActivityKind.Server);
        span?.SetTag("drover.move", step.MoveId).SetTag("drover.step", step.StepId);
        try
        {
            log.LogInformation("Step {Step} of move {Move}: {Kind}", step.StepId, step.MoveId, step.WorkCase);
            Failpoints.Reach($"{PointOf(step)}.begin");
            result = await (meters is null ? Do() : meters.Measure(step, Do, cancel.Token));
            Task<StepResult> Do() => work.Do(step, progress => Progress(step, progress), cancel.Token);
            Failpoints.Reach($"{PointOf(step)}.done");
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            result = new StepResult { Error = "cancelled by the control plane", ErrorKind = StepErrorKind.Retry };
        }
        catch (StepFailed e) { result = new StepResult { Error = e.Message, ErrorKind = e.Kind }; }
        catch (Transfers.RoundFailed e) { result = new StepResult { Error = e.Message, ErrorKind = e.Kind }; }
        catch (Exception e) { result = new StepResult { Error = e.Message, ErrorKind = StepErrorKind.Retry }; }
        (result.StepId, result.MoveId) = (step.StepId, step.MoveId);
        if (result.Error.Length > 0)
        {
            span.Failed(result.Error);
            log.LogWarning("Step {Step} of move {Move}: {Error}", step.StepId, step.MoveId, result.Error);
        }
        // Ended before control can act on the answer.
        span?.Stop();
        lock (_gate)
        {
            _running.Remove(step.StepId);
            // A cancelled one may be asked for again, and then does what is still missing. A question is looked at anew each time: a standby is deleted on the word that the data is here now.
            if (!cancel.IsCancellationRequested && step.WorkCase != Step.WorkOneofCase.CheckVolume) Keep(step.StepId, result);
        }
        cancel.Dispose();
        observations.Tell(new FromAgent { Result = result });
    }

    /// <summary>`Prepare`, `Seed`, `Final`, `Retire`…: where the fault tests hold a step.</summary>
    private static string PointOf(Step step) => step.WorkCase == Step.WorkOneofCase.Round ? step.Round.Final ? "Final" : "Seed" : step.WorkCase.ToString();

    private void Keep(string stepId, StepResult result)
    {
        if (_answers.TryAdd(stepId, result)) _answerOrder.Enqueue(stepId);
        while (_answerOrder.Count > AnswersKept) _answers.Remove(_answerOrder.Dequeue());
    }

    private void Progress(Step step, StepProgress progress)
    {
        (progress.StepId, progress.MoveId) = (step.StepId, step.MoveId);
        observations.Tell(new FromAgent { Progress = progress });
    }

    public async ValueTask DisposeAsync()
    {
        Task[] open;
        lock (_gate)
        {
            foreach (var running in _running.Values) running.Cancel.Cancel();
            open = [.. _running.Values.Select(r => r.Work)];
        }
        await Task.WhenAll(open);
    }
}
