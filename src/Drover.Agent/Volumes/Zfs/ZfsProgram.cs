using Drover.Agent.Host;

namespace Drover.Agent.Volumes.Zfs;

/// <summary>Runs `zfs` and `zpool`. A pool that stands still must not hold the agent for ever: each command has an end.</summary>
internal sealed class ZfsProgram(IHostCommands commands, TimeProvider time)
{
    /// <summary>Old pools free the blocks of what is destroyed before they answer.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60), LongPatience = TimeSpan.FromMinutes(15), Pause = TimeSpan.FromMilliseconds(25);
    private const int MostTries = 7;

    public Task<string> Run(params IReadOnlyList<string> arguments) => Run("zfs", arguments);

    public async Task<string> Run(string program, IReadOnlyList<string> arguments)
    {
        var result = await Try(program, arguments);
        return result.Ok ? result.Output : throw Failure(new(program, arguments), result);
    }

    public Task<CommandResult> Try(params IReadOnlyList<string> arguments) => Try("zfs", arguments);

    public async Task<CommandResult> Try(string program, IReadOnlyList<string> arguments)
    {
        var command = new HostCommand(program, arguments);
        var patience = arguments is ["destroy" or "rollback" or "promote", ..] ? LongPatience : Patience;
        using var stop = new CancellationTokenSource();
        var running = commands.Run(command, stop.Token);
        try
        {
            // Not waited for beyond that: a program that the kernel holds cannot even be killed.
            return await running.WaitAsync(patience, time);
        }
        catch (TimeoutException e)
        {
            await stop.CancelAsync();
            throw new IOException($"`{command}` did not end within {patience.TotalSeconds:0} s: look at `zpool status`; a pool that lost its disks stands still", e);
        }
    }

    /// <summary>A file system that was just let go of, or a stream that was just cut, is still busy for a moment. True when it was done.</summary>
    public async Task<CommandResult> Patiently(params IReadOnlyList<string> arguments)
    {
        var pause = Pause;
        for (var i = 1; ; i++, pause *= 2)
        {
            var result = await Try(arguments);
            if (result.Ok || i == MostTries || !IsBusy(result)) return result;
            await Task.Delay(pause, time, CancellationToken.None);
        }
    }

    public IRunningCommand Start(IReadOnlyList<string> arguments) => commands.Start(new("zfs", arguments));

    public static bool IsBusy(CommandResult result) => result.Error.Contains("busy", StringComparison.Ordinal);
    public static bool IsMissing(CommandResult result) => result.Error.Contains("does not exist", StringComparison.Ordinal);
    public static bool IsFull(CommandResult result) =>
        result.Error.Contains("out of space", StringComparison.Ordinal) || result.Error.Contains("No space left", StringComparison.Ordinal) || result.Error.Contains("quota exceeded", StringComparison.Ordinal);

    public static Exception Failure(HostCommand command, CommandResult result) => IsFull(result)
        ? new IOException($"the pool is full: make room, then repeat ({result.Error.Trim()})", new HostCommandFailed(command, result)) : new HostCommandFailed(command, result);
}
