using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace Drover.Agent.Plugins.DockerNetwork;

/// <summary>The engine names networks and endpoints by ids of its own and tells what they are only once: this keeps it over restarts.</summary>
/// <remarks>A lost file heals: networks are learned again when the engine is asked for them, endpoints when a container is started.</remarks>
public sealed class EndpointRegister
{
    private readonly Lock _lock = new();
    private readonly string _path;
    private readonly StoredEndpoints _stored;

    public EndpointRegister(AgentOptions options, ILogger<EndpointRegister> log)
    {
        _path = Path.Combine(options.StateFolder, "docker-networks.json");
        _stored = new([], []);
        if (!File.Exists(_path)) return;
        try
        {
            _stored = JsonSerializer.Deserialize(File.ReadAllBytes(_path), NetworkJson.Default.StoredEndpoints) is { Networks: not null, Endpoints: not null } read ? read : _stored;
        }
        catch (JsonException e)
        {
            log.LogWarning("{Path} cannot be read ({Reason}): starting with an empty register, networks are learned again from the engine", _path, e.Message);
        }
    }

    public StoredNetwork? Network(string id)
    {
        lock (_lock) return _stored.Networks.GetValueOrDefault(id);
    }

    public StoredEndpoint? Endpoint(string id)
    {
        lock (_lock) return _stored.Endpoints.GetValueOrDefault(id);
    }

    /// <summary>Other endpoints with this address on this network.</summary>
    public IReadOnlyList<string> Others(string networkId, string address, string endpointId)
    {
        lock (_lock) return [.. _stored.Endpoints.Where(e => e.Key != endpointId && e.Value.NetworkID == networkId && e.Value.Address == address).Select(e => e.Key)];
    }

    public void Put(string id, StoredNetwork network)
    {
        lock (_lock)
        {
            if (_stored.Networks.TryGetValue(id, out var old) && old == network) return;
            _stored.Networks[id] = network;
            Write(durable: true);
        }
    }

    public void Put(string id, StoredEndpoint endpoint)
    {
        lock (_lock)
        {
            if (_stored.Endpoints.TryGetValue(id, out var old) && old == endpoint) return;
            _stored.Endpoints[id] = endpoint;
            // Endpoints do not outlive the machine's own restart, nor need their record.
            Write(durable: false);
        }
    }

    public void RemoveNetwork(string id)
    {
        lock (_lock)
        {
            var gone = _stored.Endpoints.Where(e => e.Value.NetworkID == id).Select(e => e.Key).ToArray();
            foreach (var endpoint in gone) _stored.Endpoints.Remove(endpoint);
            if (_stored.Networks.Remove(id) || gone.Length > 0) Write(durable: true);
        }
    }

    public void RemoveEndpoint(string id)
    {
        lock (_lock)
        {
            if (_stored.Endpoints.Remove(id)) Write(durable: false);
        }
    }

    private void Write(bool durable)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_path)!);
        var next = _path + ".next";
        using (var file = new FileStream(next, FileMode.Create, FileAccess.Write))
        {
            file.Write(JsonSerializer.SerializeToUtf8Bytes(_stored, NetworkJson.Default.StoredEndpoints));
            file.Flush(flushToDisk: durable);
        }
        // The old register is replaced whole or not at all.
        File.Move(next, _path, overwrite: true);
    }
}
