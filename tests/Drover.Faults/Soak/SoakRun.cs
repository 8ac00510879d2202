using System.Globalization;
using Drover.Core.Moves;
using Drover.Faults.History;
using Drover.Faults.Lab;
using Drover.Faults.Table;

namespace Drover.Faults.Soak;

/// <summary>Does what a plan says on four nodes until its time is over, judges after each, and looks at the end whether anything grew.</summary>
public sealed class SoakRun(FaultLab lab, SoakPlan plan, Random chance, TextWriter output)
{
    public async Task<(Tally Tally, IReadOnlyList<string> Grown)> Run(TimeSpan length, CancellationToken cancel)
    {
        var tally = new Tally();
        var samples = new List<Holdings>();
        await lab.Up(cancel);
        await using var watch = new Watch(lab);
        var run = new ComboRun(lab, watch, tally, chance);
        await run.Ready(cancel);
        watch.Begin();
        var begun = lab.Time.GetTimestamp();
        for (var number = 1; lab.Time.GetElapsedTime(begun) < length; number++)
        {
            var line = await Do(run, plan.Next(), cancel);
            samples.Add(lab.Holds());
            await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
                $"{number,4} {line}  [{samples[^1].MemoryMiB:0} MiB, {samples[^1].Handles} handles, {samples[^1].Snapshots} snapshots, {samples[^1].Files} files]"));
        }
        return (tally, Growth.Of(samples));
    }

    private async Task<string> Do(ComboRun run, SoakAction action, CancellationToken cancel)
    {
        switch (action)
        {
            case SoakAction.Redeploy: return await Done("redeploy", run, () => lab.Redeploy(cancel), cancel);
            case SoakAction.Drain: return await Done("drain", run, () => lab.Drain(cancel), cancel);
            case SoakAction.Move(var turn):
                run.Turn = turn;
                return (await run.Run(new Combo(MoveState.Preparing, Fault.None), cancel)).Line;
            case SoakAction.Strike(var combo, var turn):
                run.Turn = turn;
                return (await run.Run(combo, cancel)).Line;
            default: throw new System.Diagnostics.UnreachableException();
        }
    }

    private static async Task<string> Done(string what, ComboRun run, Func<Task> act, CancellationToken cancel)
    {
        try
        {
            // What came before may have left a node on its way back: a drain of one that is away is refused.
            await run.Ready(cancel);
            await act();
            await run.Ready(cancel);
            return $"ok   {what}";
        }
        catch (Exception e) when (e is TimeoutException or Cli.Lab.LabException)
        {
            run.Fail();
            return $"BAD  {what}: {e.Message}";
        }
    }
}
