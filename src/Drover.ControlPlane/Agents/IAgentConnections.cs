using Drover.Contracts.Agent;
using Drover.Core;

namespace Drover.ControlPlane.Agents;

/// <summary>The one place that talks to agents.</summary>
public interface IAgentConnections
{
    /// <summary>Sends a step and waits for its result, over reconnects of the agent: after each the step is sent again under the same id, which the agent answers
    /// from what it already did. Ends when the result comes or the token is cancelled (which cancels the step on the agent too).</summary>
    Task<StepResult> Run(NodeId node, Step step, Action<StepProgress>? progress, CancellationToken cancel);

    /// <summary>Output of one task, from the agent that runs it.</summary>
    IAsyncEnumerable<LogChunk> Logs(NodeId node, TaskId task, bool follow, int tail, CancellationToken cancel);

    bool IsConnected(NodeId node);
}
