using Drover.Core.Moves;
using Drover.Faults.History;
using Drover.Faults.Lab;

namespace Drover.Faults.Table;

/// <summary>A build that is broken on purpose, and the combos that must show it.</summary>
/// <param name="Bends">Switched on before the move begins.</param>
/// <param name="Restarts">Switched on once the fault has struck, with a new start of the agent.</param>
public sealed record Broken(string Name, IReadOnlyList<Hold> Bends, IReadOnlyList<Hold> Restarts, IReadOnlyList<Combo> Combos)
{
    public static readonly IReadOnlyList<Broken> All =
    [
        // An agent that starts again whatever has stopped, cut off from those who know better.
        new("epoch", [], [new("source", "no-epoch-check")], [new(MoveState.Verified, Fault.CutSourceFromControl)]),
        new("verify", [new("source", "no-verification"), new("target", "no-verification")], [], [new(MoveState.Quiescing, Fault.TruncatedStream) { At = new("source", "Stop.begin") }]),
        new("retire", [new("source", "retire-early")], [], [new(MoveState.FinalDelta, Fault.KillTarget) { At = new("target", "Final.received") }]),
    ];
}

/// <summary>Runs combos in one lab, which is made anew when it did not come back clean.</summary>
public sealed class FaultTable(Func<FaultLab> make, TextWriter output, string kept, Random chance)
{
    public async Task<Tally> Run(IReadOnlyList<Combo> combos, Broken? broken, CancellationToken cancel)
    {
        var tally = new Tally();
        var left = new Queue<Combo>(combos);
        while (left.Count > 0)
        {
            await using var lab = make();
            await lab.Up(cancel);
            await using var watch = new Watch(lab);
            var run = new ComboRun(lab, watch, tally, chance) { Broken = broken };
            await run.Ready(cancel);
            watch.Begin();
            while (left.TryDequeue(out var combo))
            {
                var result = await run.Run(combo, cancel);
                await output.WriteLineAsync($"{combos.Count - left.Count,3}/{combos.Count} {result.Line}");
                if (result.Wrong is null) continue;
                Keep(lab, combo.Name.Replace('/', '-'));
                break;
            }
            Keep(lab, "last");
        }
        return tally;
    }

    /// <summary>What the processes said, and what the writer did, in a folder of the combo's own.</summary>
    private void Keep(FaultLab lab, string name)
    {
        var folder = Path.Combine(kept, name);
        if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
        Directory.CreateDirectory(folder);
        foreach (var file in Directory.EnumerateFiles(lab.Logs).Append(lab.AckFile).Where(File.Exists)) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)), overwrite: true);
    }
}
