using System.Collections.Frozen;
using System.ComponentModel;
using System.Text;
using Process = System.Diagnostics.Process;
using ProcessStartInfo = System.Diagnostics.ProcessStartInfo;

namespace Drover.Agent.Host;

#pragma warning disable RS0030 // the one adapter that may start processes



/// <summary>Starts real programs, from a fixed list.</summary>
public sealed class HostCommands : IHostCommands
{
    private static readonly FrozenDictionary<string, string> Packages = new Dictionary<string, string>
    {
        ["btrfs"] = "btrfs-progs", ["ip"] = "iproute2", ["bridge"] = "iproute2", ["zfs"] = "zfsutils-linux", ["zpool"] = "zfsutils-linux",
        ["nft"] = "nftables", ["iptables"] = "iptables", ["nsenter"] = "util-linux", ["chattr"] = "e2fsprogs",
    }.ToFrozenDictionary();

    public async Task<CommandResult> Run(HostCommand command, CancellationToken cancel)
    {
        await using var running = new Running(command, Begin(command));
        var output = running.ReadAll(cancel);
        if (command.Input is not null)
        {
            var bytes = Encoding.UTF8.GetBytes(command.Input);
            // A program may end before it has read everything: its exit code tells why, the broken pipe does not.
            try { await running.Input.WriteAsync(bytes, cancel); } catch (IOException) { }
        }
        running.Input.Close();
        var text = await output;
        var result = await running.Exited(cancel);
        return result with { Output = text };
    }

    public IRunningCommand Start(HostCommand command) => new Running(command, Begin(command));

    private static Process Begin(HostCommand command)
    {
        if (!Packages.TryGetValue(command.Program, out var package))
            throw new InvalidOperationException($"'{command.Program}' is not a program this agent may start");
        var info = new ProcessStartInfo(command.Program)
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false,
        };
        foreach (var argument in command.Arguments) info.ArgumentList.Add(argument);
        foreach (var (name, value) in command.Environment ?? FrozenDictionary<string, string>.Empty) info.Environment[name] = value;
        info.Environment["LC_ALL"] = "C";
        try
        {
            return Process.Start(info) ?? throw new InvalidOperationException($"`{command}` did not start");
        }
        catch (Win32Exception e)
        {
            throw new InvalidOperationException($"`{command.Program}` cannot be started ({e.Message}): install Debian's package {package}", e);
        }
    }

    private sealed class Running : IRunningCommand
    {
        private const int ErrorBytesKept = 4096;
        private readonly HostCommand _command;
        private readonly Process _process;
        private readonly Task<string> _error;

        public Running(HostCommand command, Process process)
        {
            _command = command;
            _process = process;
            _error = KeepTail(process.StandardError);
        }

        public int Pid => _process.Id;
        public Stream Input => _process.StandardInput.BaseStream;
        public Stream Output => _process.StandardOutput.BaseStream;

        public Task<string> ReadAll(CancellationToken cancel) => _process.StandardOutput.ReadToEndAsync(cancel);

        public async Task<CommandResult> Exited(CancellationToken cancel)
        {
            await _process.WaitForExitAsync(cancel);
            return new(_process.ExitCode, "", await _error);
        }

        public void Kill()
        {
            try { _process.Kill(entireProcessTree: true); }
            catch (InvalidOperationException) { /* it ended by itself: what we wanted */ }
        }

        public async ValueTask DisposeAsync()
        {
            if (!_process.HasExited) Kill();
            await _process.WaitForExitAsync(CancellationToken.None);
            // The runtime leaves pipes that were handed out to the collector: three a program, until it comes by.
            await Input.DisposeAsync();
            await Output.DisposeAsync();
            _process.StandardError.Dispose();
            _process.Dispose();
        }

        public override string ToString() => _command.ToString();

        private static async Task<string> KeepTail(StreamReader from)
        {
            var kept = new StringBuilder();
            var buffer = new char[1024];
            int n;
            while ((n = await from.ReadAsync(buffer)) > 0)
            {
                kept.Append(buffer, 0, n);
                if (kept.Length > ErrorBytesKept) kept.Remove(0, kept.Length - ErrorBytesKept);
            }
            return kept.ToString();
        }
    }
}
