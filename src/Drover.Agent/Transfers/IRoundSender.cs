using Drover.Contracts.Agent;

namespace Drover.Agent.Transfers;

/// <summary>Does one round of a move on the source: snapshot of every volume, send, the target's word that it is complete and on its disk.</summary>
public interface IRoundSender
{
    /// <summary>
    /// Repeatable: snapshots of these names that exist already are used again, and what the target has complete is not sent again.
    /// A final round unmounts and seals the live data first. The caller makes sure that no container runs on it any more;
    /// where one still does, the unmount or the seal is refused.
    /// </summary>
    /// <param name="progress">Called at most four times a second for each volume, from any thread; `step_id` is empty, the caller sets it.</param>
    /// <exception cref="RoundFailed">Nothing of a failed round is visible on the target. Cancelling throws <see cref="OperationCanceledException"/>.</exception>
    Task<RoundOutcome> Send(SendRound round, string moveId, Action<StepProgress> progress, CancellationToken cancel);
}

/// <summary>Why a round did not come to its end.</summary>
/// <param name="kind">Retry: the same round may succeed later. Refused: not with these arguments (epoch, ticket, identity). Operator: somebody must look.</param>
public sealed class RoundFailed(StepErrorKind kind, string message, Exception? cause = null) : Exception(message, cause)
{
    public StepErrorKind Kind { get; } = kind;
}
