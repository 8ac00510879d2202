using System.Collections.Concurrent;
using Drover.Contracts.Agent;
using Drover.ControlPlane.Access;
using Drover.ControlPlane.Agents;
using Drover.Core;

namespace Drover.Testing.Moves;

/// <summary>Agents that answer the steps of moves at once, or as a test says.</summary>
public sealed class FakeMoveAgents : IAgentConnections
{
    public ConcurrentQueue<(NodeId Node, Step Step)> Asked { get; } = new();

    /// <summary>A test's own answer; null: the good one. A task that never ends: the agent is at work.</summary>
    public Func<NodeId, Step, Task<StepResult>?>? Answer { get; set; }

    public async Task<StepResult> Run(NodeId node, Step step, Action<StepProgress>? progress, CancellationToken cancel)
    {
        Asked.Enqueue((node, step));
        return await (Answer?.Invoke(node, step) ?? Task.FromResult(Good(step))).WaitAsync(cancel);
    }

    public async IAsyncEnumerable<LogChunk> Logs(NodeId node, TaskId task, bool follow, int tail, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancel)
    {
        await Task.CompletedTask;
        yield break;
    }

    public bool IsConnected(NodeId node) => true;

    public static StepResult Good(Step step)
    {
        var result = new StepResult { StepId = step.StepId, MoveId = step.MoveId, PoolFreeBytes = 1L << 40, AppStopUs = 40_000 };
        if (step.WorkCase == Step.WorkOneofCase.Inspect) result.Volumes.Add(step.Inspect.Volumes.Select(v => new VolumeObserved { Name = v, UsedBytes = 1 << 20 }));
        if (step.WorkCase == Step.WorkOneofCase.Round)
            result.Round = new RoundOutcome { Bytes = 1000, ElapsedUs = 20_000, SnapshotUs = 5_000, SendUs = 10_000, SyncUs = 5_000, SnapshotAtUnixMs = 1_767_614_400_000 + step.Round.Number * 1000 };
        return result;
    }
}

/// <summary>Tickets whose text says what they are for.</summary>
public sealed class FakeTickets : ITransferTickets
{
    public string Sign(TransferGrant grant) => $"{grant.Volume}@{grant.Epoch} {grant.Snapshot} {grant.Source}>{grant.Target}";
}
