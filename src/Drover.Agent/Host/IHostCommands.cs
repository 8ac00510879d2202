namespace Drover.Agent.Host;

/// <summary>The only way this agent starts programs: by name and argument list, never through a shell.</summary>
public interface IHostCommands
{
    /// <summary>Runs to the end. A non-zero exit is a value; a program that cannot be started is an exception naming the package to install.</summary>
    Task<CommandResult> Run(HostCommand command, CancellationToken cancel);

    /// <summary>Starts a program whose input or output is a stream. Disposing kills it if it still runs.</summary>
    IRunningCommand Start(HostCommand command);
}

/// <param name="Program">Bare name of an allowed program: `btrfs`, `ip`, `bridge`, `mount`.</param>
/// <param name="Input">Written to standard input, for programs that read a batch.</param>
public sealed record HostCommand(string Program, IReadOnlyList<string> Arguments, string? Input = null, IReadOnlyDictionary<string, string>? Environment = null)
{
    public override string ToString() => $"{Program} {string.Join(' ', Arguments)}";
}

public sealed record CommandResult(int ExitCode, string Output, string Error)
{
    public bool Ok => ExitCode == 0;

    /// <summary>Output of a command that must succeed; else <see cref="HostCommandFailed"/> with what it said.</summary>
    public string Require(HostCommand command) => Ok ? Output : throw new HostCommandFailed(command, this);
}

/// <summary>A running program. Its standard error is kept (the last 4 KiB) for the failure message.</summary>
public interface IRunningCommand : IAsyncDisposable
{
    int Pid { get; }
    Stream Input { get; }
    Stream Output { get; }

    /// <summary>Waits for the end; <see cref="CommandResult.Output"/> is empty, it went to <see cref="Output"/>.</summary>
    Task<CommandResult> Exited(CancellationToken cancel);

    void Kill();
}

public sealed class HostCommandFailed(HostCommand command, CommandResult result)
    : Exception($"`{command}` exited with {result.ExitCode}: {(result.Error.Length > 0 ? result.Error.Trim() : result.Output.Trim())}")
{
    public HostCommand Command { get; } = command;
    public CommandResult Result { get; } = result;
}
