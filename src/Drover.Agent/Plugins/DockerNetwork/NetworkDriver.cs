using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Drover.Agent.Networks;
using Drover.Agent.Networks.Vxlan;
using Drover.Core;

namespace Drover.Agent.Plugins.DockerNetwork;

/// <summary>Docker's remote network driver protocol (moby, libnetwork/docs/remote.md): connects containers to overlays.</summary>
/// <remarks>The devices of a network are made by the control plane's word, not by the engine's: here an id gets its network, and
/// an endpoint its pair of interfaces. No gateway: the way out and published ports stay with the container's other network.</remarks>
public sealed class NetworkDriver(IOverlay overlay, ILinks links, LeaseBook leases, EndpointRegister register, AgentOptions options) : IPluginProtocol
{
    /// <summary>Prefix of the interface's name inside containers.</summary>
    public const string InterfacePrefix = "ethwe";
    private const string GenericOptions = "com.docker.network.generic";

    public string Name => "NetworkDriver";

    public async Task<PluginAnswer?> Call(string method, ReadOnlyMemory<byte> body, CancellationToken cancel) => method switch
    {
        "GetCapabilities" => PluginAnswers.Ok(new("local", "global"), NetworkJson.Default.DriverCapabilities),
        "CreateNetwork" => CreateNetwork(PluginAnswers.Read(body, NetworkJson.Default.CreateNetworkRequest)),
        "DeleteNetwork" => DeleteNetwork(PluginAnswers.Read(body, NetworkJson.Default.NetworkRequest)),
        "CreateEndpoint" => CreateEndpoint(PluginAnswers.Read(body, NetworkJson.Default.CreateEndpointRequest)),
        "EndpointOperInfo" => PluginAnswers.Ok(new([]), NetworkJson.Default.OperationalInfo),
        "DeleteEndpoint" => await DeleteEndpoint(PluginAnswers.Read(body, NetworkJson.Default.EndpointRequest), cancel),
        "Join" => await Join(PluginAnswers.Read(body, NetworkJson.Default.EndpointRequest), cancel),
        // The pair goes with the endpoint: the engine still wants to find its end when it empties the sandbox after this call.
        "Leave" or "DiscoverNew" or "DiscoverDelete" => PluginAnswer.Empty,
        _ => null,
    };

    private PluginAnswer CreateNetwork(CreateNetworkRequest? request)
    {
        if (request?.NetworkID is not { Length: > 0 } id) return Lacking("NetworkID");
        var given = request.Options is not null && request.Options.TryGetValue(GenericOptions, out var generic) && generic.ValueKind == JsonValueKind.Object ? generic : default;
        if (!int.TryParse(Option(given, "vni"), NumberStyles.None, CultureInfo.InvariantCulture, out var vni) || vni is < 1 or > 16777215)
            return PluginAnswers.Refused("option vni: this driver needs the network's identifier, 1 to 16777215 (-o vni=4096); networks that apps name are made by the agent itself");
        register.Put(id, new StoredNetwork(vni, Option(given, "network")));
        return PluginAnswer.Empty;
    }

    private PluginAnswer DeleteNetwork(NetworkRequest? request)
    {
        if (request?.NetworkID is { } id) register.RemoveNetwork(id);
        return PluginAnswer.Empty;
    }

    private PluginAnswer CreateEndpoint(CreateEndpointRequest? request)
    {
        if (request is not { NetworkID: { Length: > 0 } networkId, EndpointID: { Length: > 0 } endpointId }) return Lacking("NetworkID and EndpointID");
        if (register.Network(networkId) is not { } network) return Unknown(networkId);
        var given = (request.Interface?.Address ?? "").Split('/')[0];
        if (!IPAddress.TryParse(given, out var address) || address.AddressFamily != AddressFamily.InterNetwork)
            return PluginAnswers.Refused("an endpoint on this network needs an IPv4 address: name one (docker run --ip, or WEAVE_CIDR in the app's environment)");
        if (NameOf(network) is { } name && leases.EntryOf(name, given) is { Node.Length: > 0 } lease && lease.Node != options.Node)
            return PluginAnswers.Refused($"address {given} on network {name} is leased to node {lease.Node}: it answers there; the control plane hands it over when the app that holds it comes here");
        var fixedMac = request.Interface?.MacAddress is { Length: > 0 } asked ? asked.ToLowerInvariant() : null;
        foreach (var other in register.Others(networkId, given, endpointId))
        {
            if (links.IndexOf(OverlayNames.HostEnd(other)) != 0)
                return PluginAnswers.Refused($"address {given} is in use on this node by endpoint {other}: stop the container that has it (docker network inspect)");
            // Its interfaces are gone with their container: the engine lost it in a crash.
            register.RemoveEndpoint(other);
        }
        var mac = fixedMac ?? MacOf(address);
        register.Put(endpointId, new StoredEndpoint(networkId, given, mac));
        // What the request names must come back empty.
        return PluginAnswers.Ok(new(fixedMac is null ? new(null, null, mac) : new EndpointInterface(null, null, null)), NetworkJson.Default.CreateEndpointResponse);
    }

    private async Task<PluginAnswer> Join(EndpointRequest? request, CancellationToken cancel)
    {
        if (request is not { NetworkID: { Length: > 0 } networkId, EndpointID: { Length: > 0 } endpointId }) return Lacking("NetworkID and EndpointID");
        if (register.Network(networkId) is not { } network) return Unknown(networkId);
        if (register.Endpoint(endpointId) is not { } endpoint)
            return PluginAnswers.Refused($"endpoint {endpointId} is not known to this agent: disconnect the container from the network and connect it again");
        if (NameOf(network) is not { } name)
            return PluginAnswers.Refused($"the network with identifier {network.Vni} is not set up on this node: the control plane has not sent it (does an app use it? is the agent connected?)");
        var link = await overlay.Attach(name, endpointId, endpoint.Address, endpoint.Mac, cancel);
        await overlay.Announce(name, endpoint.Address, endpoint.Mac, cancel);
        return PluginAnswers.Ok(new(new(link, InterfacePrefix), DisableGatewayService: true), NetworkJson.Default.JoinResponse);
    }

    private async Task<PluginAnswer> DeleteEndpoint(EndpointRequest? request, CancellationToken cancel)
    {
        if (request is not { EndpointID: { Length: > 0 } endpointId }) return PluginAnswer.Empty;
        // Also one that is not in the register: the engine clears up after a crash, and its interfaces may still be here.
        var network = request.NetworkID is { } id ? register.Network(id) : null;
        if (network is not null && NameOf(network) is { } name) await overlay.Detach(name, endpointId, cancel);
        register.RemoveEndpoint(endpointId);
        return PluginAnswer.Empty;
    }

    /// <summary>`02:dd` and the address: the same on whatever node it answers, so that nobody's neighbour entry grows stale.</summary>
    private static string MacOf(IPAddress address) => "02:dd:" + string.Join(':', address.GetAddressBytes().Select(part => part.ToString("x2", CultureInfo.InvariantCulture)));

    private NetworkName? NameOf(StoredNetwork network) => network.Name is { } name ? new NetworkName(name) : leases.ByVni(network.Vni);

    private static string? Option(JsonElement options, string name) =>
        options.ValueKind == JsonValueKind.Object && options.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static PluginAnswer Lacking(string field) => PluginAnswers.Refused($"{field}: the call lacks it");

    private static PluginAnswer Unknown(string networkId) =>
        PluginAnswers.Refused($"Docker network {networkId} is not known to this agent: remove it (docker network rm) and let the agent make it again");
}
