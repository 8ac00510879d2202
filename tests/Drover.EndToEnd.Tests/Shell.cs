using System.Text;
#pragma warning disable RS0030 // the one place where these tests start the published programs
using Process = System.Diagnostics.Process;
using ProcessStartInfo = System.Diagnostics.ProcessStartInfo;

namespace Drover.EndToEnd.Tests;

/// <summary>Runs a program by argument list and gives back what it said.</summary>
public static class Shell
{
    public static readonly string Root = FindRoot();

    public static async Task<Said> Run(string program, IReadOnlyList<string> arguments, CancellationToken cancel)
    {
        var info = new ProcessStartInfo(program) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false, WorkingDirectory = Root };
        foreach (var argument in arguments) info.ArgumentList.Add(argument);
        using var process = Process.Start(info) ?? throw new InvalidOperationException($"{program} did not start");
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync(cancel);
        var error = process.StandardError.ReadToEndAsync(cancel);
        try
        {
            await process.WaitForExitAsync(cancel);
            return new($"{Path.GetFileName(program)} {string.Join(' ', arguments)}", process.ExitCode, await output, await error);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }

    /// <summary>A program that runs beside the test until it is disposed of. Lines of both its outputs are read as they come.</summary>
    public static Running Begin(string program, IReadOnlyList<string> arguments)
    {
        var info = new ProcessStartInfo(program) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false, WorkingDirectory = Root };
        foreach (var argument in arguments) info.ArgumentList.Add(argument);
        return new(Process.Start(info) ?? throw new InvalidOperationException($"{program} did not start"));
    }

    public sealed class Running : IDisposable
    {
        private readonly Process _process;
        private readonly List<string> _lines = [];

        public Running(Process process)
        {
            _process = process;
            process.OutputDataReceived += (_, e) => Add(e.Data);
            process.ErrorDataReceived += (_, e) => Add(e.Data);
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
        }

        public IReadOnlyList<string> Lines { get { lock (_lines) return [.. _lines]; } }

        private void Add(string? line)
        {
            if (line is null) return;
            lock (_lines) _lines.Add(line);
        }

        public void Dispose()
        {
            if (!_process.HasExited) _process.Kill(entireProcessTree: true);
            _process.WaitForExit();
            _process.Dispose();
        }
    }

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Drover.slnx"))) return folder.FullName;
        throw new InvalidOperationException("these tests run from inside the repository: Drover.slnx was not found above them");
    }
}
#pragma warning restore RS0030

public sealed record Said(string Command, int ExitCode, string Output, string Error)
{
    public string Must() => ExitCode == 0 ? Output : throw new InvalidOperationException($"`{Command}` exited with {ExitCode}:{Environment.NewLine}{new StringBuilder(Output).AppendLine().Append(Error)}");
}
