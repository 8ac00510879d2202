using System.Globalization;
using Drover.Contracts.Agent;
using Drover.ControlPlane.Moves;
using Drover.Core;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.ControlPlane.Volumes;

/// <summary>Translates an operation's steps into agents' orders and their results into events.</summary>
public static class VolumeOrders
{
    private static readonly TimeSpan DefaultGrace = TimeSpan.FromSeconds(10);

    /// <summary>The order's id depends on the stored place alone: repeated after a crash, the agent finds what it did. Not a question's: its answer is what is there now, and one of before a crash is none.</summary>
    /// <param name="asked">No other question has the same.</param>
    public static Step Of(ClusterState state, VolumeOperation operation, VolumeStep step, Guid asked)
    {
        var order = new Step { MoveId = operation.Id.Value, StepId = string.Create(CultureInfo.InvariantCulture, $"{operation.Id}/{operation.Stage}/{operation.Node}.{operation.Attempts}") };
        switch (step)
        {
            case VolumeStep.Make make:
                order.MakeVolume = new() { Name = make.Volume.Value, Epoch = make.Epoch.Value, Source = make.Source?.Value ?? "", Snapshot = make.From?.Value ?? "", SizeBytes = make.Size?.Bytes ?? 0 };
                break;
            case VolumeStep.Stop stop:
                var instance = stop.Instance is { } id ? state.Instances.GetValueOrDefault(id) : null;
                order.Stop = new()
                {
                    InstanceId = instance?.Id.Value ?? "", TaskId = instance?.Task.Value ?? "", Volumes = { stop.Volume.Value },
                    GraceMs = (int)Math.Min((instance?.Spec.KillGrace ?? DefaultGrace).TotalMilliseconds, int.MaxValue),
                };
                break;
            case VolumeStep.Take take:
                order.TakeSnapshot = new() { Name = take.Volume.Value, Epoch = take.Epoch.Value, Snapshot = take.Snapshot.Value, Needs = take.Needs?.Value ?? "" };
                break;
            case VolumeStep.Drop drop:
                order.DropData = new() { Name = drop.Volume.Value, Epoch = drop.Epoch.Value, Whole = drop.Whole, Snapshots = { drop.Snapshots.Select(s => s.Value) } };
                break;
            case VolumeStep.Resize resize:
                order.ResizeVolume = new() { Name = resize.Volume.Value, Epoch = resize.Epoch.Value, SizeBytes = resize.Size?.Bytes ?? 0 };
                break;
            case VolumeStep.Receive receive:
                order.ImportVolume = new()
                {
                    Name = receive.Volume.Value, Epoch = receive.Epoch.Value, Snapshot = receive.Snapshot.Value, StreamId = operation.Id.Value, SizeBytes = receive.Size?.Bytes ?? 0, BytesPerSecond = receive.BytesPerSecond ?? 0,
                };
                break;
            case VolumeStep.Clear clear:
                order.ClearImport = new() { Name = clear.Volume.Value, Epoch = clear.Epoch.Value, Snapshot = clear.Snapshot.Value };
                break;
            case VolumeStep.Check check:
                order.StepId += $"/{asked:N}";
                order.CheckVolume = new() { Name = check.Volume.Value, Epoch = check.Epoch.Value };
                break;
            default: throw new System.Diagnostics.UnreachableException($"{step.GetType().Name} is no agent's step");
        }
        return order;
    }

    public static VolumeEvent Came(StepResult result) => result.Error.Length > 0 ? new VolumeEvent.Failed(MoveOrders.Failure(result.ErrorKind), result.Error)
        : new VolumeEvent.Done(new ByteCount(result.Snapshot?.Bytes ?? 0));
}
