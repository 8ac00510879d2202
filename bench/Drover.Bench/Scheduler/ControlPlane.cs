using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Drover.Bench.Scheduler;

/// <summary>A real drover-control, its own process, on loopback: plain HTTP for people, mutual TLS for agents.</summary>
internal sealed class ControlPlane(string program, string data) : IDisposable
{
    private Process? _process;

    public int HttpPort { get; } = FreePort();
    public int AgentPort { get; } = FreePort();
    public Uri Http => new($"http://127.0.0.1:{HttpPort}");
    public string Log => Path.Combine(data, "control.log");
    public string Database => Path.Combine(data, "drover.db");

    public void Start()
    {
        var start = new ProcessStartInfo("/bin/sh") { UseShellExecute = false };
        foreach (var argument in (string[])["-c", "exec \"$0\" \"$@\" >>\"$DROVER_BENCH_LOG\" 2>&1", program, "--data", data, "--http", $"127.0.0.1:{HttpPort}", "--agents", $"127.0.0.1:{AgentPort}", "--name", "bench"])
            start.ArgumentList.Add(argument);
        start.Environment["DROVER_BENCH_LOG"] = Log;
        _process = Process.Start(start) ?? throw new BenchFailed($"{program} did not start");
    }

    /// <summary>kill -9.</summary>
    public void Kill()
    {
        _process?.Kill();
        _process?.WaitForExit();
    }

    public bool Ended => _process is null or { HasExited: true };

    public TimeSpan ProcessorTime
    {
        get
        {
            _process!.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    /// <summary>Resident bytes: now, or the most ever.</summary>
    public long Memory(bool most)
    {
        var name = most ? "VmHWM:" : "VmRSS:";
        var line = File.ReadLines($"/proc/{_process!.Id}/status").First(l => l.StartsWith(name, StringComparison.Ordinal));
        return long.Parse(line[name.Length..].Replace("kB", "", StringComparison.Ordinal).Trim(), CultureInfo.InvariantCulture) * 1024;
    }

    public long DatabaseBytes => new[] { Database, Database + "-wal" }.Where(File.Exists).Sum(f => new FileInfo(f).Length);

    public void Dispose()
    {
        if (!Ended) Kill();
        _process?.Dispose();
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
