using System.Diagnostics;

namespace Drover.Bench;

internal sealed class BenchFailed(string message) : Exception(message);

/// <summary>Programs of this machine, by argument list.</summary>
internal static class Host
{
    public static double Milliseconds(long since) => Stopwatch.GetElapsedTime(since).TotalMilliseconds;

    /// <summary>The command's standard output.</summary>
    /// <exception cref="BenchFailed">It ended with anything but 0.</exception>
    public static async Task<string> Run(params IReadOnlyList<string> command)
    {
        var start = new ProcessStartInfo(command[0]) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        foreach (var argument in command.Skip(1)) start.ArgumentList.Add(argument);
        using var process = Process.Start(start) ?? throw new BenchFailed($"{command[0]} did not start");
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0) throw new BenchFailed($"{string.Join(' ', command)}: exit {process.ExitCode}: {(await errors).Trim()} {(await output).Trim()}");
        return await output;
    }
}
