using System.Globalization;
using Drover.Contracts.Api;
using Spectre.Console;

namespace Drover.Cli.Output;

/// <summary>Volumes and the work on them, for people.</summary>
public static class VolumeDrawing
{
    public static string Line(VolumeView volume) => volume.DeletedAt is null ? $"volume {volume.Name} on {volume.Primary ?? "no node yet"}{(volume.Schedule is { } s ? $", a snapshot each {Span(s.EverySeconds)}, {s.Keep} stay" : "")}"
        : string.Create(CultureInfo.InvariantCulture, $"volume {volume.Name} is deleted; its data stays on {volume.Primary ?? "no node"} until {volume.PurgeAt:yyyy-MM-dd HH:mm} UTC (drover volume undelete {volume.Name})");

    public static string Line(OperationView operation) => (operation.Verb, operation.EndedAt) switch
    {
        (_, null) => $"the {operation.Verb} of volume {operation.Volume} has begun ({operation.Id})",
        ("snapshot", _) => $"snapshot {operation.Snapshot} of volume {operation.Volume} is on {operation.Node}",
        ("restore", _) => $"volume {operation.Volume} is as in snapshot {operation.Snapshot}; to undo: drover volume restore {operation.Volume} {operation.Safety}",
        ("clone", _) => $"volume {operation.Target} is on {operation.Node}, of snapshot {operation.Snapshot} of {operation.Volume}",
        ("import", _) => $"volume {operation.Volume} is on {operation.Node}, of the file",
        ("create", _) => $"volume {operation.Volume} is on {operation.Node}",
        _ => $"the {operation.Verb} of volume {operation.Volume} is done",
    };

    public static void Write(VolumeView volume, DateTimeOffset now)
    {
        Console.Out.WriteLine(Line(volume));
        Console.Out.WriteLine($"epoch {volume.Epoch}, {Screen.Bytes(volume.UsedBytes)} used{(volume.SizeBytes is { } size ? $" of {Screen.Bytes(size)}" : "")}{(volume.App is { } app ? $", app {app}" : "")}");
        if (volume.Warning is { } warning) Console.Out.WriteLine(Screen.Safe(warning));
        if (volume.Operation is { } work) Console.Out.WriteLine($"the {work.Verb} is under way: {work.Stage}{(work.WaitsFor is { } waits ? $", waits for {waits}" : "")}");
        foreach (var standby in volume.Standbys) Console.Out.WriteLine($"standby on {standby.Node} since {Screen.Ago(standby.Since, now)}");
        if (volume.Snapshots.Count == 0) return;
        var table = Screen.Table("SNAPSHOT", "NODE", "AGE", "SIZE", "EPOCH", "ORIGIN");
        foreach (var s in volume.Snapshots)
            table.AddRow(Screen.Safe(s.Name), Screen.Safe(s.Node), Screen.Ago(s.TakenAt, now), Screen.Bytes(s.Bytes), s.Epoch.ToString(CultureInfo.InvariantCulture), Screen.Safe(s.Origin));
        Screen.Write(table);
    }

    public static void Write(OperationsView all, DateTimeOffset now)
    {
        var table = Screen.Table("OPERATION", "WORK", "VOLUME", "NODE", "STAGE", "AGE", "SAYS");
        foreach (var o in all.Operations)
            table.AddRow(Screen.Safe(o.Id), Screen.Safe(o.Verb), Screen.Safe(o.Volume), Screen.Safe(o.Node), Screen.Safe(o.Stage), Screen.Ago(o.RequestedAt, now), Screen.Safe(o.Failure ?? o.WaitsFor));
        Screen.Write(table);
    }

    private static string Span(double seconds) => seconds switch
    {
        >= 86400 => string.Create(CultureInfo.InvariantCulture, $"{seconds / 86400:0.#} d"), >= 3600 => string.Create(CultureInfo.InvariantCulture, $"{seconds / 3600:0.#} h"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{seconds / 60:0.#} min"),
    };
}
