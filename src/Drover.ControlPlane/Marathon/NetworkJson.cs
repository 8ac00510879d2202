using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Networks;

namespace Drover.ControlPlane.Marathon;

/// <param name="Name">The container network that was named; null: none was.</param>
/// <param name="Discovery">Ports of `ipAddress.discovery`; null: none were given.</param>
public sealed record AskedNetwork(ContainerNetwork Mode, string? Name, EquatableList<PortMapping>? Discovery);

/// <summary>`networks`, and what stood in its place before 1.5: `container.docker.network` and `ipAddress`.</summary>
public static class NetworkJson
{
    private static readonly AskedNetwork Unknown = new(ContainerNetwork.Bridge, null, null);

    /// <summary>null: the body says nothing of networks.</summary>
    public static AskedNetwork? Read(JsonFields fields, JsonFields? docker)
    {
        var (canonical, old, address) = (Canonical(fields), Old(docker), Address(fields));
        if (address is not null)
        {
            if (canonical is not null) fields.Violations.Rule("/ipAddress", "must not be given together with networks; keep networks");
            if (old is not (null or { Name: UserNetwork })) fields.Violations.Rule("/ipAddress", "must not be given together with container.docker.network other than USER; keep one of them");
            foreach (var name in (string[])["ports", "portDefinitions"])
                if (!fields.IsEmpty(name)) fields.Violations.Rule(fields.At(name), "must not be given together with ipAddress; give ipAddress.discovery.ports");
            return address;
        }
        if (old is { Name: UserNetwork } && canonical is null)
        {
            fields.Violations.Rule("/ipAddress/networkName", $"container network name is not defined; {Remedy}");
            return Unknown;
        }
        if (canonical is not null && old is not null && !Same(canonical, old)) fields.Violations.Rule("/networks", "says something else than container.docker.network; keep one of them");
        return canonical ?? old;
    }

    // Only ever compared: the old form has no name beside USER.
    private const string UserNetwork = "";
    private static string Remedy => $"the container network here is '{Addressing.Weave}', with the address in env {Addressing.Variable}, such as 10.255.0.10/24";

    private static bool Same(AskedNetwork canonical, AskedNetwork old) => old.Name is UserNetwork ? canonical.Name is not null : canonical.Name is null && canonical.Mode == old.Mode;

    private static AskedNetwork? Canonical(JsonFields fields)
    {
        if (fields.Objects("networks") is not { Count: > 0 } networks) return null;
        if (networks.Count > 1) fields.Violations.Rule("/networks", $"holds {networks.Count} networks; give one, and env {Addressing.Variable} for an address on the overlay");
        var first = networks[0];
        switch (first.String("mode") ?? "container")
        {
            case "container/bridge": return new(ContainerNetwork.Bridge, null, null);
            case "host": return new(ContainerNetwork.Host, null, null);
            case "none": return new(ContainerNetwork.None, null, null);
            case "container": return Named(first, "name");
            default:
                first.Violations.Rule(first.At("mode"), "must be host, container/bridge or container");
                return Unknown;
        }
    }

    private static AskedNetwork? Old(JsonFields? docker)
    {
        switch (docker?.String("network")?.ToUpperInvariant())
        {
            case null or "": return null;
            case "BRIDGE": return new(ContainerNetwork.Bridge, null, null);
            case "HOST": return new(ContainerNetwork.Host, null, null);
            case "NONE": return new(ContainerNetwork.None, null, null);
            case "USER": return new(ContainerNetwork.Bridge, UserNetwork, null);
            default:
                docker.Value.Violations.Rule(docker.Value.At("network"), "must be BRIDGE, HOST, USER or NONE");
                return Unknown;
        }
    }

    private static AskedNetwork? Address(JsonFields fields)
    {
        if (fields.Object("ipAddress") is not { } address) return null;
        foreach (var name in (string[])["groups", "labels"])
            if (!address.IsEmpty(name)) address.Violations.Rule(address.At(name), "must be empty: the overlay has neither groups nor labels");
        var ports = address.Object("discovery")?.Objects("ports")?.Select(port => PortJson.Discovered(port)).ToEquatableList();
        return Named(address, "networkName") with { Discovery = ports };
    }

    private static AskedNetwork Named(JsonFields fields, string field)
    {
        var name = fields.String(field);
        if (string.IsNullOrEmpty(name)) fields.Violations.Rule(fields.At(field), $"container network name is not defined; {Remedy}");
        else if (name != Addressing.Weave.Value) fields.Violations.Rule(fields.At(field), $"there is no container network '{name}'; {Remedy}");
        return new(ContainerNetwork.Bridge, name ?? "", null);
    }
}
