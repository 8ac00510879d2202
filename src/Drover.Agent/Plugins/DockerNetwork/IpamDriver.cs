using System.Net;
using System.Net.Sockets;

namespace Drover.Agent.Plugins.DockerNetwork;

/// <summary>Docker's address management protocol (moby, libnetwork/docs/ipam.md): grants what is asked, gives nothing by itself.</summary>
/// <remarks>Addresses are leased by the control plane. The engine's own management is per node, keeps addresses after a crash
/// and takes the first one for a gateway that overlays do not have; this one has no memory at all.</remarks>
public sealed class IpamDriver : IPluginProtocol
{
    private const string GatewayData = "com.docker.network.gateway";
    private const string AddressKind = "RequestAddressType";

    public string Name => "IpamDriver";

    public Task<PluginAnswer?> Call(string method, ReadOnlyMemory<byte> body, CancellationToken cancel) => Task.FromResult(method switch
    {
        "GetCapabilities" => PluginAnswers.Ok(new(false, false), NetworkJson.Default.IpamCapabilities),
        "GetDefaultAddressSpaces" => PluginAnswers.Ok(new("drover", "drover"), NetworkJson.Default.AddressSpaces),
        "RequestPool" => RequestPool(PluginAnswers.Read(body, NetworkJson.Default.PoolRequest)),
        "RequestAddress" => RequestAddress(PluginAnswers.Read(body, NetworkJson.Default.AddressRequest)),
        "ReleasePool" or "ReleaseAddress" => PluginAnswer.Empty,
        _ => null,
    });

    private static PluginAnswer RequestPool(PoolRequest? request)
    {
        if (request is null || request.V6 || !IPNetwork.TryParse(request.Pool ?? "", out var pool) || pool.BaseAddress.AddressFamily != AddressFamily.InterNetwork)
            return Refused($"pool '{request?.Pool}': name the overlay's IPv4 subnet (--subnet 10.2.0.0/24)");
        // A gateway named here is not asked for as an address. The network address is nobody's, and no container gets it as a route.
        return PluginAnswers.Ok(new(pool.ToString(), pool.ToString(), new() { [GatewayData] = pool.ToString() }), NetworkJson.Default.PoolResponse);
    }

    private static PluginAnswer RequestAddress(AddressRequest? request)
    {
        if (request is null || !IPNetwork.TryParse(request.PoolID ?? "", out var pool)) return Refused($"PoolID '{request?.PoolID}' is not one this driver gave");
        if (request.Options?.ContainsKey(AddressKind) == true)
            return Refused("gateway: overlays of this driver have none; leave --gateway away");
        if (!IPAddress.TryParse(request.Address ?? "", out var address))
            return Refused($"addresses of {pool} are leased by Drover, not given by the engine: name one (docker run --ip, or WEAVE_CIDR in the app's environment)");
        if (!pool.Contains(address)) return Refused($"address {address} is outside of {pool}");
        return PluginAnswers.Ok(new($"{address}/{pool.PrefixLength}"), NetworkJson.Default.AddressResponse);
    }

    private static PluginAnswer Refused(string message) => PluginAnswers.Ok(new(message, message), NetworkJson.Default.IpamError) with { Status = 400 };
}
