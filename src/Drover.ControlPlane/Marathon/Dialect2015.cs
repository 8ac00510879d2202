using System.Text.Json;
using Drover.Core.Apps;

namespace Drover.ControlPlane.Marathon;

/// <summary>The fields that clients of 2015 read (Marathon 0.8) and that canonical output leaves out: written beside it when the control plane was started with `--marathon-2015-fields`.</summary>
public static class Dialect2015
{
    /// <summary>What 0.8 wrote with explicit null, [] or {} where it is not there.</summary>
    public static void Fields(Utf8JsonWriter json, AppSpec spec)
    {
        if (!MarathonSettings.Fields2015) return;
        if (spec.AcceptedRoles.Count == 0) json.WriteNull("acceptedResourceRoles");
        if (spec.Args.Count == 0) json.WriteNull("args");
        if (spec.Command is null) json.WriteNull("cmd");
        if (!AppJsonOut.HasContainer(spec)) json.WriteNull("container");
        if (spec.User is null) json.WriteNull("user");
        if (spec.Constraints.Count == 0) Empty(json, "constraints");
        if (spec.Dependencies.Count == 0) Empty(json, "dependencies");
        if (spec.HealthChecks.Count == 0) Empty(json, "healthChecks");
        Empty(json, "storeUrls");
        Empty(json, "uris");
        if (spec.Env.Count == 0)
        {
            json.WriteStartObject("env");
            json.WriteEndObject();
        }
        json.WriteStartArray("ports");
        foreach (var port in TaskViews.ServicePorts(spec)) json.WriteNumberValue(port);
        json.WriteEndArray();
    }

    /// <summary>Into `container.docker`.</summary>
    public static void Docker(Utf8JsonWriter json, ContainerSpec container)
    {
        if (!MarathonSettings.Fields2015) return;
        json.WriteString("network", container switch { { NetworkName: not null } => "USER", { Network: ContainerNetwork.Bridge } => "BRIDGE", { Network: ContainerNetwork.Host } => "HOST", _ => "NONE" });
        if (container.Network == ContainerNetwork.Bridge) AppJsonOut.PortMappings(json, container.PortMappings);
        else json.WriteNull("portMappings");
    }

    private static void Empty(Utf8JsonWriter json, string name)
    {
        json.WriteStartArray(name);
        json.WriteEndArray();
    }
}
