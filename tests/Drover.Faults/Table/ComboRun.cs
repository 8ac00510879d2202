using System.Globalization;
using Drover.Contracts.Api;
using Drover.Core.Moves;
using Drover.Faults.History;
using Drover.Faults.Lab;

namespace Drover.Faults.Table;

/// <summary>What one fault in one step came to.</summary>
/// <param name="Wrong">Null: survived.</param>
/// <param name="Why">Of a move that was undone.</param>
/// <param name="Undo">How soon it was undone; null: it was not.</param>
public sealed record ComboResult(Combo Combo, string Ended, TimeSpan Took, string? Wrong, string? Why, UndoTimes? Undo)
{
    public string Line => string.Create(CultureInfo.InvariantCulture,
        $"{(Wrong is null ? "ok  " : "BAD ")} {Combo.Where,-10} {Combo.What,-26} {Ended,-7} {Took.TotalSeconds,5:0.0} s  {Wrong ?? (Undo is null ? Why : $"{Undo}: {Why}")}").TrimEnd();
}

/// <summary>Begins a move under write load, holds it in a step, strikes, lets go, puts right, and judges.</summary>
public sealed class ComboRun(FaultLab lab, Watch watch, Tally tally, Random chance)
{
    private static readonly TimeSpan Broad = TimeSpan.FromSeconds(60), Narrow = TimeSpan.FromSeconds(15), Lasting = TimeSpan.FromSeconds(4), LongestStay = TimeSpan.FromSeconds(25), Longer = TimeSpan.FromMilliseconds(600);
    private const int Ballast = 12, MoreAcks = 5;
    private int _twoSeen;
    private string? _why;
    private UndoTimes? _undo;

    public UndoTally Undone { get; init; } = new();
    public Broken? Broken { get; init; }

    /// <summary>Which node is the target, counted from the source.</summary>
    public int Turn { get; set; } = 1;

    /// <summary>Something else than a combo was not survived.</summary>
    public void Fail() => tally.Count(false);

    /// <summary>A broken build need not come back: what it does is seen at once.</summary>
    private TimeSpan Patience => Broken is null ? Broad : Narrow;

    public async Task<ComboResult> Run(Combo combo, CancellationToken cancel)
    {
        var begun = lab.Time.GetTimestamp();
        var ended = "-";
        (_why, _undo) = (null, null);
        var wrong = new List<string>();
        try
        {
            ended = await Move(combo, wrong, cancel);
        }
        catch (Exception e) when (e is TimeoutException or Cli.Lab.LabException or IOException or HttpRequestException)
        {
            wrong.Add(e.Message);
        }
        await JudgeCopies(wrong, "at the end", cancel);
        await JudgeHistory(wrong, cancel);
        JudgeWriters(wrong);
        var result = new ComboResult(combo, ended, lab.Time.GetElapsedTime(begun), wrong.Count == 0 ? null : string.Join("; ", wrong), _why, _undo);
        tally.Count(result.Wrong is null);
        return result;
    }

    private async Task<string> Move(Combo combo, List<string> wrong, CancellationToken cancel)
    {
        var source = (await Ready(cancel)).Primary!;
        var target = lab.Nodes[(lab.Nodes.ToList().IndexOf(source) + Turn) % lab.Nodes.Count];
        string Who(string role) => role switch { "source" => source, "target" => target, _ => role };
        lab.Dirty(source, Ballast, chance);
        foreach (var bend in Broken?.Bends ?? []) lab.Points.Arm(Who(bend.Who), bend.Point, "on");
        var (who, point) = (Who(combo.Hold.Who), combo.Hold.Point);
        lab.Points.Arm(who, point, "pause");
        var blow = new Blow(lab, source, target);
        var move = await lab.Begin(target, cancel);
        var acks = 0;
        MoveEyes? eyes = null;
        DateTimeOffset struck = default, passed = default;
        try
        {
            await lab.Until($"the move to be held in {combo.Where}", Patience, () => Task.FromResult(lab.Points.Reached(who, point)), cancel, () => Seen(move.Id, cancel).Result);
            eyes = MoveEyes.Open(lab, move.Id, await lab.SeeMove(move.Id, cancel));
            struck = lab.Time.GetUtcNow();
            await blow.Strike(combo.Fault, cancel);
            await JudgeCopies(wrong, "after the fault", cancel);
            await Bend(Broken?.Restarts ?? [], Who, cancel);
            lab.Points.Release(who, point);
            if (Broken is not null) await Task.Delay(Lasting, lab.Time, cancel);
            if (Broken is { Restarts.Count: > 0 }) await TwoWriters(cancel);
            await Last(combo, move.Id, cancel);
            await JudgeCopies(wrong, "while it lasted", cancel);
            struck = blow.StruckAt(combo.Fault) ?? struck;
        }
        finally
        {
            lab.Points.Release(who, point);
            foreach (var bend in Broken is null ? [] : Broken.Bends.Concat(Broken.Restarts)) lab.Points.Release(Who(bend.Who), bend.Point);
            acks = Log().Acks.Count;
            passed = lab.Time.GetUtcNow();
            await blow.PutRight(cancel);
        }
        MoveView? last = null;
        await lab.Until("the move to end", Patience, async () => (last = await lab.SeeMove(move.Id, cancel) ?? last) is { EndedAt: not null }, cancel, () => $"it is {last?.State}, waits for {last?.WaitsFor}");
        await lab.Until("the writer to go on", Patience, () => Task.FromResult(Log().Acks.Count >= acks + MoreAcks), cancel, () => $"the move ended as {last!.State}");
        await eyes!.DisposeAsync();
        if (last!.State == nameof(MoveState.Undone)) Note(combo, eyes, struck, last.EndedAt!.Value, Blow.HitsSource(combo.Fault) ? passed : null);
        var at = (await lab.SeeVolume(cancel))?.Primary;
        _why = last!.Failure;
        if (at != (last.State == nameof(MoveState.Done) ? target : source)) wrong.Add($"the move ended as {last.State} and the volume is on {at}");
        return last.State;
    }

    /// <summary>A fault that stays is there until the move has ended, or has turned back and the source serves; or as long as the move could wait for it to pass.</summary>
    private async Task Last(Combo combo, string move, CancellationToken cancel)
    {
        if (!combo.Stays) { await Task.Delay(Blow.Lasts(combo.Fault), lab.Time, cancel); return; }
        var begun = lab.Time.GetTimestamp();
        int? turned = null;
        while (lab.Time.GetElapsedTime(begun) < LongestStay)
        {
            var seen = await lab.SeeMove(move, cancel);
            if (seen is { EndedAt: not null }) return;
            var acks = Log().Acks.Count;
            if (seen is { State: nameof(MoveState.Unwinding) }) turned ??= acks;
            if (acks > turned + MoreAcks) return;
            await Task.Delay(TimeSpan.FromMilliseconds(100), lab.Time, cancel);
        }
    }

    /// <summary>How soon an agent that is started anew does its harm hangs on the machine: it is given the time.</summary>
    private async Task TwoWriters(CancellationToken cancel)
    {
        var begun = lab.Time.GetTimestamp();
        while (lab.Time.GetElapsedTime(begun) < LongestStay && watch.Moments + HistoryChecker.Together(Log().Opens).Count == 0) await Task.Delay(TimeSpan.FromMilliseconds(100), lab.Time, cancel);
    }

    private async Task Bend(IReadOnlyList<Hold> restarts, Func<string, string> who, CancellationToken cancel)
    {
        foreach (var bend in restarts)
        {
            lab.Points.Arm(who(bend.Who), bend.Point, "on");
            // One that is still on its way out counts as running, and would not be started.
            await lab.Until("the killed agent to be gone", Narrow, () => Task.FromResult(!lab.Signal(who(bend.Who), "agent", 9)), cancel);
            await lab.Start(who(bend.Who), "agent", cancel);
        }
        if (Broken is not null) await Task.Delay(Longer, lab.Time, cancel);
    }

    private void Note(Combo combo, MoveEyes eyes, DateTimeOffset struck, DateTimeOffset ended, DateTimeOffset? passed)
    {
        long On(DateTimeOffset moment) => MoveEyes.OnBootClock(moment, lab.Time);
        _undo = UndoTimes.Of(new(On(struck), eyes.Seen is { } seen ? On(seen) : null, On(ended), passed is { } over ? On(over) : null), Log().Acks);
        if (_undo is not null) Undone.Add(combo.Name, _undo);
    }

    private async Task<string> Seen(string move, CancellationToken cancel) => await lab.SeeMove(move, cancel) is { } seen ? $"it is {seen.State}: {seen.Failure ?? seen.WaitsFor}" : "no answer";

    /// <summary>The cluster as it is before each combo: all connected, no move, the writer writing.</summary>
    public async Task<VolumeView> Ready(CancellationToken cancel)
    {
        VolumeView? volume = null;
        await lab.Until("every node to be connected", Patience, async () => (await lab.SeeNodes(cancel))?.Nodes.Count(n => n.Connected) == lab.Nodes.Count, cancel);
        await lab.Until("no move to be open", Patience, async () => (await lab.SeeMoves(cancel))?.All(m => m.EndedAt is not null) == true, cancel);
        var acks = Log().Acks.Count;
        await lab.Until("the writer to write", Patience, async () =>
            (volume = await lab.SeeVolume(cancel)) is { Primary: not null } && Log().Acks.Count > acks + MoreAcks, cancel);
        return volume!;
    }

    private WriterLog Log() => WriterLog.Read(lab.AckFile);

    /// <summary>Some copy holds everything that was acknowledged until now. Copies come and go while we look: only what is never found is missing.</summary>
    private async Task JudgeCopies(List<string> wrong, string when, CancellationToken cancel)
    {
        for (var attempt = 0; attempt < 3; attempt++)
        {
            if (HistoryChecker.SomeComplete(Log().Acks, lab.Copies().Select(c => c.Records))) return;
            await Task.Delay(TimeSpan.FromMilliseconds(30), lab.Time, cancel);
        }
        tally.NoCopy++;
        wrong.Add($"no complete copy {when}: {string.Join(", ", lab.Copies().Select(c => $"{c.Node}:{c.Name} {c.Records.Count} records"))}, {Log().Acks.Count} acknowledged");
    }

    private async Task JudgeHistory(List<string> wrong, CancellationToken cancel)
    {
        // First what was promised, then what is there: what comes in between is more, never less.
        var acks = Log().Acks;
        if (await lab.SeeVolume(cancel) is not { Primary: not null } volume) { wrong.Add("the control plane does not say where the volume is"); return; }
        if (lab.LiveRecords(volume) is not { } records) { wrong.Add($"no records in the live data of epoch {volume.Epoch} on {volume.Primary}"); return; }
        var verdict = HistoryChecker.Check(acks, records);
        if (verdict.Good) return;
        tally.Lost += verdict.Wrong;
        wrong.Add($"of {acks.Count} acknowledged writes {verdict.Lost} lost, {verdict.Twice} twice, {verdict.OutOfOrder} out of order");
    }

    private void JudgeWriters(List<string> wrong)
    {
        var pairs = HistoryChecker.Together(Log().Opens);
        var moments = Math.Max(pairs.Count, watch.Moments);
        if (moments == _twoSeen) return;
        tally.TwoWriters += moments - _twoSeen;
        _twoSeen = moments;
        wrong.Add($"two writers at once{(pairs.Count == 0 ? "" : $": {pairs[^1].First.Run} on {pairs[^1].First.Node} and {pairs[^1].Second.Run} on {pairs[^1].Second.Node}")}");
    }
}
