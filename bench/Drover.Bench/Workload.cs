using System.Diagnostics;
using Npgsql;

namespace Drover.Bench;

/// <summary>A container under load, with its data in one folder, that answers on one port of its node.</summary>
internal abstract record Workload(string Name, string Image, string DataPath, int Port, long Bytes)
{
    public abstract IReadOnlyList<string> DockerOptions { get; }
    public abstract IReadOnlyList<string> Command { get; }
    /// <summary>Marathon's JSON, without volumes and constraints.</summary>
    public abstract string App(string id, string volume, string node);
    public abstract Task<bool> Answers(string address, CancellationToken cancel);

    /// <summary>Asks every 2 ms, and returns when it was answered first.</summary>
    public async Task FirstAnswer(string address, TimeSpan patience)
    {
        using var limit = new CancellationTokenSource(patience);
        while (!limit.IsCancellationRequested)
        {
            using var one = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
            one.CancelAfter(1000);
            try { if (await Answers(address, one.Token)) return; }
            catch (Exception e) when (e is HttpRequestException or OperationCanceledException or NpgsqlException or IOException or TimeoutException or System.Net.Sockets.SocketException) { /* not yet */ }
            await Task.Delay(2, CancellationToken.None);
        }
        throw new BenchFailed($"{Name} at {address}:{Port} did not answer within {patience.TotalSeconds:0} s");
    }

    /// <summary>What keeps the data changing from outside, until disposed.</summary>
    public virtual IAsyncDisposable Load(Func<string> address) => new NoLoad();

    private sealed class NoLoad : IAsyncDisposable { public ValueTask DisposeAsync() => default; }
}

internal sealed record Writer(long Size, string Script, int HostPort = 8020, bool Idle = false) : Workload("writer", "binocarlos/powerstrip-mesosphere-demo:latest", "/data", HostPort, Size)
{
    private static readonly HttpClient Http = new(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.Zero, ConnectTimeout = TimeSpan.FromMilliseconds(50) });

    public override IReadOnlyList<string> DockerOptions => ["-p", $"{Port}:8020", "-e", $"BYTES={Size}", "-v", $"{Script}:/bench/writer.mjs:ro"];
    public override IReadOnlyList<string> Command => ["node", "/bench/writer.mjs"];

    public override string App(string id, string volume, string node) => $$"""
        { "id": "{{id}}", "cpus": {{(Idle ? "0.1" : "1")}}, "mem": {{(Idle ? 128 : 512)}}, "cmd": "exec node /bench/writer.mjs", "env": { "BYTES": "{{Size}}", "IDLE": "{{(Idle ? "yes" : "no")}}" }, "taskKillGracePeriodSeconds": 60,
          "container": { "type": "DOCKER",
            "docker": { "image": "{{Image}}", "network": "BRIDGE", "portMappings": [ { "containerPort": 8020, "hostPort": {{HostPort}}, "protocol": "tcp" } ] },
            "volumes": [ { "containerPath": "/data", "hostPath": "/flocker/{{volume}}", "mode": "RW" }, { "containerPath": "/bench/writer.mjs", "hostPath": "{{Script}}", "mode": "RO" } ] },
          "healthChecks": [ { "protocol": "HTTP", "path": "/", "portIndex": 0, "gracePeriodSeconds": 600, "intervalSeconds": 5, "timeoutSeconds": 5, "maxConsecutiveFailures": 12 } ],
          "constraints": [["hostname", "CLUSTER", "{{node}}"]] }
        """;

    public override async Task<bool> Answers(string address, CancellationToken cancel) => (await Http.GetAsync($"http://{address}:{Port}/", cancel)).IsSuccessStatusCode;
}

internal sealed record Postgres(long Size) : Workload("postgres", "postgres:15", "/var/lib/postgresql/data", 8032, Size)
{
    private static readonly string[] Environment = ["POSTGRES_DB=bench", "POSTGRES_HOST_AUTH_METHOD=trust"];

    public override IReadOnlyList<string> DockerOptions => ["-p", $"{Port}:5432", .. Environment.SelectMany(e => new[] { "-e", e })];
    public override IReadOnlyList<string> Command => [];

    public override string App(string id, string volume, string node) => $$"""
        { "id": "{{id}}", "cpus": 0.5, "mem": 512, "env": { "POSTGRES_DB": "bench", "POSTGRES_HOST_AUTH_METHOD": "trust" }, "taskKillGracePeriodSeconds": 60,
          "container": { "type": "DOCKER",
            "docker": { "image": "{{Image}}", "network": "BRIDGE", "portMappings": [ { "containerPort": 5432, "hostPort": {{Port}}, "protocol": "tcp" } ] },
            "volumes": [ { "containerPath": "{{DataPath}}", "hostPath": "/flocker/{{volume}}", "mode": "RW" } ] },
          "healthChecks": [ { "protocol": "COMMAND", "command": { "value": "pg_isready -q -h 127.0.0.1 -U postgres" }, "gracePeriodSeconds": 120, "intervalSeconds": 5, "timeoutSeconds": 5, "maxConsecutiveFailures": 12 } ],
          "constraints": [["hostname", "CLUSTER", "{{node}}"]] }
        """;

    private string Reach(string address) => $"Host={address};Port={Port};Username=postgres;Database=bench;Pooling=false;Timeout=2;Command Timeout=600";

    public override async Task<bool> Answers(string address, CancellationToken cancel)
    {
        await using var connection = new NpgsqlConnection(Reach(address));
        await connection.OpenAsync(cancel);
        return true;
    }

    /// <summary>A table of about <see cref="Workload.Bytes"/>.</summary>
    public async Task Fill(string address)
    {
        await using var connection = new NpgsqlConnection(Reach(address));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand($"""
            CREATE TABLE IF NOT EXISTS rows (id bigserial PRIMARY KEY, body text NOT NULL);
            INSERT INTO rows (body) SELECT (SELECT string_agg(md5(random()::text || g::text || i::text), '') FROM generate_series(1, 60) i) FROM generate_series(1, {Bytes / 2000}) g;
            CHECKPOINT;
            """, connection);
        await command.ExecuteNonQueryAsync();
    }

    public override IAsyncDisposable Load(Func<string> address) => new Rows(this, address);

    /// <summary>Inserts and updates, about 5 MB/s of write-ahead log, wherever the database is just now.</summary>
    private sealed class Rows : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _running;

        public Rows(Postgres what, Func<string> address) => _running = Task.Run(() => Run(what, address, _stop.Token));

        private static async Task Run(Postgres what, Func<string> address, CancellationToken stop)
        {
            while (!stop.IsCancellationRequested)
            {
                try { await Burst(what.Reach(address()), stop); }
                catch (Exception e) when (e is NpgsqlException or IOException or OperationCanceledException or TimeoutException or System.Net.Sockets.SocketException) { await Task.Delay(50, CancellationToken.None); }
            }
        }

        private static async Task Burst(string reach, CancellationToken stop)
        {
            await using var connection = new NpgsqlConnection(reach);
            await connection.OpenAsync(stop);
            while (true)
            {
                var began = Stopwatch.GetTimestamp();
                await using (var command = new NpgsqlCommand("""
                    INSERT INTO rows (body) SELECT (SELECT string_agg(md5(random()::text || g::text || i::text), '') FROM generate_series(1, 60) i) FROM generate_series(1, 60) g;
                    UPDATE rows SET body = md5(random()::text) || substr(body, 33) WHERE id IN (SELECT 1 + (random() * 100000)::bigint FROM generate_series(1, 30));
                    """, connection)) await command.ExecuteNonQueryAsync(stop);
                await Task.Delay(TimeSpan.FromMilliseconds(Math.Max(1, 100 - Host.Milliseconds(began))), stop);
            }
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _running;
            _stop.Dispose();
        }
    }
}
