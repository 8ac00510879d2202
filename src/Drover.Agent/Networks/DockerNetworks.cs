using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Drover.Agent.Plugins.DockerNetwork;
using Drover.Contracts.Agent;
using Drover.Core;
using Microsoft.Extensions.Logging;

namespace Drover.Agent.Networks;

/// <summary>Networks by the Engine API over the engine's socket.</summary>
public sealed class DockerNetworks : IDockerNetworks, IDisposable
{
    private const string Driver = "drover";
    private readonly HttpClient _engine;
    /// <summary>The engine takes two networks of one name that are asked for at the same moment, and then finds neither by its name.</summary>
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly EndpointRegister _register;
    private readonly ILogger<DockerNetworks> _log;
    private readonly string _socket;

    public DockerNetworks(AgentOptions options, EndpointRegister register, ILogger<DockerNetworks> log)
    {
        (_register, _log, _socket) = (register, log, options.DockerSocket);
        _engine = new(new SocketsHttpHandler { ConnectCallback = Connect, PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1) }) { BaseAddress = new("http://docker/v1.41/") };
    }

    public async Task Ensure(DesiredNetwork network, CancellationToken cancel)
    {
        await _turn.WaitAsync(cancel);
        try { await EnsureAlone(network, cancel); }
        finally { _turn.Release(); }
    }

    public async Task Remove(NetworkName network, CancellationToken cancel)
    {
        await _turn.WaitAsync(cancel);
        try { await RemoveAlone(network, cancel); }
        finally { _turn.Release(); }
    }

    private async Task EnsureAlone(DesiredNetwork network, CancellationToken cancel)
    {
        var vni = network.Vni.ToString(CultureInfo.InvariantCulture);
        if (await Find(network.Name, cancel) is { } there)
        {
            if (there.Driver != Driver)
                throw new InvalidOperationException($"a Docker network {network.Name} with driver {there.Driver} is in the way of the overlay {network.Name}: remove it (docker network rm {network.Name})");
            if (Fits(there, network, vni))
            {
                _register.Put(there.Id, new StoredNetwork(network.Vni, network.Name));
                return;
            }
            // Ours, but as an older order had it. The engine itself refuses to remove one with containers; it holds no data.
            await RemoveAlone(new(network.Name), cancel);
        }
        var order = new EngineNetworkCreate(
            network.Name, CheckDuplicate: true, Driver, new(Driver, [new(network.Subnet)]), new() { ["vni"] = vni, ["network"] = network.Name }, new() { ["drover.network"] = network.Name });
        using var response = await Send(HttpMethod.Post, "networks/create", order, cancel);
        // Somebody else made it in the meantime: judged at the next call.
        if (!response.IsSuccessStatusCode && response.StatusCode != HttpStatusCode.Conflict) throw await Failed(response, $"the Docker network {network.Name} cannot be made", cancel);
        _log.LogInformation("Docker network {Network} made: {Subnet}, identifier {Vni}", network.Name, network.Subnet, network.Vni);
    }

    private async Task RemoveAlone(NetworkName network, CancellationToken cancel)
    {
        if (await Find(network.Value, cancel) is not { Driver: Driver } there) return;
        using var response = await Delete(there, cancel);
        if (!Gone(response)) throw await Failed(response, $"the Docker network {network} cannot be removed", cancel);
    }

    private Task<HttpResponseMessage> Delete(EngineNetwork network, CancellationToken cancel) => Send(HttpMethod.Delete, $"networks/{network.Id}", null, cancel);

    private static bool Gone(HttpResponseMessage response) => response.IsSuccessStatusCode || response.StatusCode == HttpStatusCode.NotFound;

    public void Dispose()
    {
        _engine.Dispose();
        _turn.Dispose();
    }

    private static bool Fits(EngineNetwork there, DesiredNetwork network, string vni) =>
        there.Options?.GetValueOrDefault("vni") == vni && there.Ipam is { Driver: Driver, Config: [{ Subnet: var subnet }] } && subnet == network.Subnet;

    private async Task<EngineNetwork?> Find(string name, CancellationToken cancel)
    {
        // By a list: asked for by name, the engine answers nothing where there are two, and with another one where the name begins an id.
        var filter = Uri.EscapeDataString($$"""{"name":["{{JsonEncodedText.Encode(name)}}"]}""");
        using var response = await Send(HttpMethod.Get, $"networks?filters={filter}", null, cancel);
        if (!response.IsSuccessStatusCode) throw await Failed(response, $"the Docker network {name} cannot be looked up", cancel);
        var listed = await Read(response, EngineJson.Default.IReadOnlyListEngineNetwork, cancel) ?? [];
        var found = listed.Where(n => n.Name == name).OrderBy(n => n.Created).ToArray();
        return found.Length < 2 ? found.FirstOrDefault() : await OnlyOne(name, found, cancel);
    }

    /// <summary>Two of one name (left by an engine that was asked twice): no container can be connected to either by the name.</summary>
    private async Task<EngineNetwork> OnlyOne(string name, IReadOnlyList<EngineNetwork> found, CancellationToken cancel)
    {
        var left = found.ToList();
        foreach (var network in found.Reverse().Where(n => n.Driver == Driver))
        {
            if (left.Count == 1) break;
            // Safe: the engine refuses to remove one with containers, and a network holds no data. The one that is left is judged by the caller.
            using var response = await Delete(network, cancel);
            if (!Gone(response)) continue;
            left.Remove(network);
            _log.LogWarning("there were {Count} Docker networks {Network}: {Id}, which nothing used, was removed", left.Count + 1, name, network.Id);
        }
        return left.Count == 1 ? left[0]
            : throw new InvalidOperationException($"there are {left.Count} Docker networks {name}, and containers are connected to more than one: stop those of all but one (docker network inspect {string.Join(' ', left.Select(n => n.Id[..12]))}), then remove the others by id (docker network rm ID)");
    }

    private async Task<HttpResponseMessage> Send(HttpMethod method, string path, EngineNetworkCreate? body, CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null) request.Content = JsonContent.Create(body, EngineJson.Default.EngineNetworkCreate);
        try { return await _engine.SendAsync(request, cancel); }
        catch (HttpRequestException e)
        {
            throw new InvalidOperationException($"the Docker engine does not answer on {_socket} ({e.Message}): see that dockerd runs", e);
        }
    }

    private static async Task<InvalidOperationException> Failed(HttpResponseMessage response, string what, CancellationToken cancel)
    {
        var said = response.Content.Headers.ContentType?.MediaType == "application/json" ? (await Read(response, EngineJson.Default.EngineError, cancel))?.Message : null;
        return new($"{what}: the engine answered {(int)response.StatusCode} {said ?? response.ReasonPhrase}");
    }

    private static Task<T?> Read<T>(HttpResponseMessage response, JsonTypeInfo<T> type, CancellationToken cancel) => response.Content.ReadFromJsonAsync(type, cancel);

#pragma warning disable RS0030 // this adapter owns its connection to the engine's socket
    private async ValueTask<Stream> Connect(SocketsHttpConnectionContext context, CancellationToken cancel)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(_socket), cancel);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
#pragma warning restore RS0030
}
