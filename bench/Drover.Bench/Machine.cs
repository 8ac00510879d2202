using System.Diagnostics;
using System.Net.Sockets;

namespace Drover.Bench;

/// <summary>One node of the lab, seen as an operator with a shell on it would: its Docker, its pool, its programs.</summary>
internal sealed class Machine : IDisposable
{
    private readonly HttpClient _docker;
    private readonly string _folder, _lab;

    public Machine(string lab, string name, string address)
    {
        (Name, Address, _lab, _folder) = (name, address, $"/var/lib/drover-lab/{lab}", $"/var/lib/drover-lab/{lab}/{name}");
        var socket = new UnixDomainSocketEndPoint($"{_folder}/docker.sock");
        _docker = new(new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancel) =>
            {
                var dialled = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await dialled.ConnectAsync(socket, cancel);
                return new NetworkStream(dialled, ownsSocket: true);
            },
        }) { BaseAddress = new("http://docker/"), Timeout = TimeSpan.FromMinutes(10) };
    }

    public string Name { get; }
    public string Address { get; }
    public string Pool => $"{_folder}/pool";

    public string[] Enter => ["nsenter", $"--net={_lab}/ns/{Name}.net", $"--mount={_lab}/ns/{Name}.mnt"];

    public Task<string> Run(params IReadOnlyList<string> command) => Host.Run([.. Enter, .. command]);

    public Task<string> Docker(params IReadOnlyList<string> arguments) => Host.Run(["docker", "-H", $"unix://{_folder}/docker.sock", .. arguments]);

    // Stop and start go straight to the engine, for every system alike: the command line's own time is nobody's to answer for.
    public Task Stop(string container) => Post($"containers/{container}/stop?t=60");

    public Task Start(string container) => Post($"containers/{container}/start");

    private async Task Post(string path)
    {
        using var response = await _docker.PostAsync(path, null);
        if (!response.IsSuccessStatusCode) throw new BenchFailed($"docker on {Name}: {path}: {(int)response.StatusCode} {await response.Content.ReadAsStringAsync()}");
    }

    /// <summary>Cuts the transfers that leave this machine with a reset, and lets them through again.</summary>
    public async Task CutTransfers(TimeSpan time)
    {
        await Run("nft", "add", "table", "inet", "benchcut");
        try
        {
            await Run("nft", "add", "chain", "inet", "benchcut", "out", "{ type filter hook output priority 0 ; }");
            await Run("nft", "add", "rule", "inet", "benchcut", "out", "tcp", "dport", "4525", "reject", "with", "tcp", "reset");
            await Task.Delay(time);
        }
        finally { await Run("nft", "delete", "table", "inet", "benchcut"); }
    }

    public void Dispose() => _docker.Dispose();

    /// <summary>Bytes a second that `btrfs send | btrfs receive` carries from here to there, and the bytes; the target is synced afterwards, outside the time.</summary>
    public async Task<double> Pipe(Machine to, string snapshot, string? parent, string into)
    {
        // A fixed script; everything that varies comes as an argument.
        const string script = """
            set -euo pipefail
            from_net=$1 from_mnt=$2 to_net=$3 to_mnt=$4 snapshot=$5 into=$6; shift 6
            nsenter "$from_net" "$from_mnt" btrfs send -q "$@" "$snapshot" | nsenter "$to_net" "$to_mnt" btrfs receive -q "$into"
            """;
        var from = Enter;
        var target = to.Enter;
        var began = Stopwatch.GetTimestamp();
        await Host.Run(["bash", "-c", script, "pipe", from[1], from[2], target[1], target[2], snapshot, into, .. parent is null ? [] : new[] { "-p", parent }]);
        return Host.Milliseconds(began);
    }
}
