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

/// <summary>Combos on nodes with these volume drivers.</summary>
/// <param name="Drivers">One for all nodes, or one for each: `btrfs,directory`.</param>
public sealed record Bed(string Drivers, IReadOnlyList<Combo> Combos)
{
    /// <summary>Everything on the first driver; on each other one what strikes the data.</summary>
    public static IReadOnlyList<Bed> Usual() => [.. VolumeKind.All.Select((kind, i) => new Bed(kind.Name, i == 0 ? Combo.Whole() : Combo.DataOn(kind)))];
}

/// <summary>Runs combos in a lab of two nodes, which is made anew for each bed, and when it did not come back clean.</summary>
public sealed class FaultTable(Func<string, FaultLab> make, TextWriter output, string kept, Random chance)
{
    private readonly Tally _tally = new();
    private int _number;

    public UndoTally Undone { get; } = new();

    public async Task<Tally> Run(IReadOnlyList<Bed> beds, Broken? broken, CancellationToken cancel)
    {
        var count = beds.Sum(b => b.Combos.Count);
        foreach (var bed in beds) await Run(bed, count, broken, cancel);
        return _tally;
    }

    private async Task Run(Bed bed, int count, Broken? broken, CancellationToken cancel)
    {
        var left = new Queue<Combo>(bed.Combos);
        while (left.Count > 0)
        {
            await using var lab = make(bed.Drivers);
            await lab.Up(cancel);
            await using var watch = new Watch(lab);
            var run = new ComboRun(lab, watch, _tally, chance) { Broken = broken, Undone = Undone };
            await run.Ready(cancel);
            watch.Begin();
            while (left.TryDequeue(out var combo))
            {
                var result = await run.Run(combo, cancel);
                await output.WriteLineAsync($"{++_number,3}/{count} {bed.Drivers,-9} {result.Line}");
                if (result.Wrong is null) continue;
                Keep(lab, $"{bed.Drivers}-{combo.Name}".Replace('/', '-'));
                break;
            }
            Keep(lab, "last");
        }
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
