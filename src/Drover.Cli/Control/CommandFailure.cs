namespace Drover.Cli.Control;

/// <summary>What scripts can rely on.</summary>
public static class ExitCode
{
    public const int Done = 0;
    /// <summary>Refused or failed: the message says why and what to do.</summary>
    public const int Failed = 1;
    /// <summary>The command line was wrong.</summary>
    public const int Usage = 2;
    /// <summary>The control plane could not be reached.</summary>
    public const int Unreachable = 3;
    public const int NotFound = 4;
    public const int Interrupted = 130;
}

/// <summary>Ends the command with a message for people and an exit code for scripts.</summary>
public sealed class CommandFailure(string message, int exitCode = ExitCode.Failed) : Exception(message)
{
    public int ExitCode { get; } = exitCode;
    /// <summary>The same may succeed after this time; null: nobody said so.</summary>
    public TimeSpan? RetryAfter { get; init; }
}
