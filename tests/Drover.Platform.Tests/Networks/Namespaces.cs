using System.Diagnostics;
using System.Runtime.InteropServices;
using Drover.Agent.Host;
using Drover.Agent.Networks.Vxlan;

#pragma warning disable RS0030 // the tests' own programs: namespaces, pings
#pragma warning disable SYSLIB1054 // one call, in a test

namespace Drover.Platform.Tests.Networks;

/// <summary>Network namespaces of one test, on a hub, gone at the end with all their links.</summary>
public sealed class Namespaces : IAsyncDisposable
{
    private static int _count;
    private readonly string _prefix = $"nw{Environment.ProcessId % 100000}{(char)('a' + Interlocked.Increment(ref _count) % 26)}";
    private readonly List<string> _made = [];

    public string Name(string of) => _prefix + of;

    public string PathOf(string of) => $"/run/netns/{Name(of)}";

    public async Task Add(string of)
    {
        await Run("ip", "netns", "add", Name(of));
        _made.Add(Name(of));
        await Run("ip", "-n", Name(of), "link", "set", "lo", "up");
    }

    /// <summary>A machine on the hub, with its address on `eth0`.</summary>
    public async Task Machine(string of, string address)
    {
        if (!_made.Contains(Name("h")))
        {
            await Add("h");
            await Run("ip", "-n", Name("h"), "link", "add", "hub", "type", "bridge");
            await Run("ip", "-n", Name("h"), "link", "set", "hub", "up");
        }
        await Add(of);
        await Run("ip", "-n", Name("h"), "link", "add", of, "master", "hub", "type", "veth", "peer", "name", "eth0", "netns", Name(of));
        await Run("ip", "-n", Name("h"), "link", "set", of, "up");
        await Run("ip", "-n", Name(of), "addr", "add", address + "/24", "dev", "eth0");
        await Run("ip", "-n", Name(of), "link", "set", "eth0", "up");
    }

    public async Task<bool> Pings(string of, string address) =>
        (await Try("nsenter", [$"--net={PathOf(of)}", "busybox", "ping", "-c", "1", "-W", "1", address])).Exit == 0;

    public static async Task<string> Run(string program, params string[] arguments)
    {
        var (exit, output, error) = await Try(program, arguments);
        return exit == 0 ? output : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {error}{output}");
    }

    public static async Task<(int Exit, string Output, string Error)> Try(string program, IEnumerable<string> arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, output, await error);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var name in Enumerable.Reverse(_made)) await Run("ip", "netns", "del", name);
    }
}

/// <summary>The agent's programs, run in a node's network namespace; counts them.</summary>
public sealed class NamespaceCommands(string path) : IHostCommands
{
    private readonly HostCommands _real = new();
    private int _started;

    public int Started => _started;

    public Task<CommandResult> Run(HostCommand command, CancellationToken cancel)
    {
        Interlocked.Increment(ref _started);
        return _real.Run(Inside(command), cancel);
    }

    public IRunningCommand Start(HostCommand command) => _real.Start(Inside(command));

    private HostCommand Inside(HostCommand command) => command with { Program = "nsenter", Arguments = [$"--net={path}", command.Program, .. command.Arguments] };
}

/// <summary>The agent's own calls, made by a thread that is in a node's network namespace.</summary>
public sealed class NamespaceLinks(string path) : ILinks
{
    private const int CloneNewNet = 0x40000000;
    private readonly PacketLinks _real = new();

    public int IndexOf(string name) => Inside(() => _real.IndexOf(name));

    public void Send(string name, ReadOnlySpan<byte> frame)
    {
        var copy = frame.ToArray();
        Inside(() => { _real.Send(name, copy); return 0; });
    }

    private int Inside(Func<int> act)
    {
        var result = 0;
        Exception? failed = null;
        // The thread ends in the namespace and is not used again.
        var thread = new Thread(() =>
        {
            try
            {
                using var file = File.OpenHandle(path);
                if (SetNamespace((int)file.DangerousGetHandle(), CloneNewNet) != 0) throw new InvalidOperationException($"cannot enter {path}: run as root");
                result = act();
            }
            catch (Exception e) { failed = e; }
        });
        thread.Start();
        thread.Join();
        return failed is null ? result : throw failed;
    }

    [DllImport("libc", EntryPoint = "setns")]
    private static extern int SetNamespace(int descriptor, int kind);
}
