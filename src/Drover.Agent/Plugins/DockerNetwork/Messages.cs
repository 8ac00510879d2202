using System.Text.Json;
using System.Text.Json.Serialization;

namespace Drover.Agent.Plugins.DockerNetwork;

public sealed record DriverCapabilities(string Scope, string ConnectivityScope);

public sealed record CreateNetworkRequest(string? NetworkID, Dictionary<string, JsonElement>? Options, IReadOnlyList<PoolOfNetwork>? IPv4Data);

public sealed record PoolOfNetwork(string? AddressSpace, string? Pool, string? Gateway);

public sealed record NetworkRequest(string? NetworkID);

/// <param name="Address">With prefix length: `10.2.0.5/24`.</param>
public sealed record EndpointInterface(string? Address, string? AddressIPv6, string? MacAddress);

public sealed record CreateEndpointRequest(string? NetworkID, string? EndpointID, EndpointInterface? Interface);

public sealed record CreateEndpointResponse(EndpointInterface? Interface);

public sealed record EndpointRequest(string? NetworkID, string? EndpointID);

public sealed record OperationalInfo(Dictionary<string, string> Value);

/// <param name="DstPrefix">More than one letter: the engine adds an index.</param>
public sealed record InterfaceName(string SrcName, string DstPrefix);

public sealed record JoinResponse(InterfaceName InterfaceName, bool DisableGatewayService);

public sealed record AddressSpaces(string LocalDefaultAddressSpace, string GlobalDefaultAddressSpace);

public sealed record IpamCapabilities(bool RequiresMACAddress, bool RequiresRequestReplay);

public sealed record PoolRequest(string? AddressSpace, string? Pool, string? SubPool, bool V6);

public sealed record PoolResponse(string PoolID, string Pool, Dictionary<string, string> Data);

public sealed record AddressRequest(string? PoolID, string? Address, Dictionary<string, string>? Options);

public sealed record AddressResponse(string Address);

/// <summary>The address protocol calls its error field otherwise than all the others.</summary>
public sealed record IpamError(string Error, string Err);

/// <summary>What the plugin must still know after its own restart.</summary>
public sealed record StoredEndpoints(Dictionary<string, StoredNetwork> Networks, Dictionary<string, StoredEndpoint> Endpoints);

/// <param name="Name">Overlay's name; null: only the identifier was given.</param>
public sealed record StoredNetwork(int Vni, string? Name);

public sealed record StoredEndpoint(string NetworkID, string Address, string Mac);

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(DriverCapabilities))]
[JsonSerializable(typeof(CreateNetworkRequest))]
[JsonSerializable(typeof(NetworkRequest))]
[JsonSerializable(typeof(CreateEndpointRequest))]
[JsonSerializable(typeof(CreateEndpointResponse))]
[JsonSerializable(typeof(EndpointRequest))]
[JsonSerializable(typeof(OperationalInfo))]
[JsonSerializable(typeof(JoinResponse))]
[JsonSerializable(typeof(AddressSpaces))]
[JsonSerializable(typeof(IpamCapabilities))]
[JsonSerializable(typeof(PoolRequest))]
[JsonSerializable(typeof(PoolResponse))]
[JsonSerializable(typeof(AddressRequest))]
[JsonSerializable(typeof(AddressResponse))]
[JsonSerializable(typeof(IpamError))]
[JsonSerializable(typeof(StoredEndpoints))]
public sealed partial class NetworkJson : JsonSerializerContext;
