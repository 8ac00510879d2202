using System.Reflection;
using System.Text.Json;
using Drover.Core.Apps;

namespace Drover.ControlPlane.Marathon;

/// <summary>/v2/info (v2/types/info.raml): Marathon's keys with what holds here. What has no meaning here is null, or says so by its value.</summary>
public static class InfoViews
{
    /// <summary>Version of Marathon whose API this is.</summary>
    public const string SpeaksVersion = "1.10.19";

    public static string OwnVersion { get; } = typeof(InfoViews).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";

    public static string Self(HttpRequest request) => request.Host.Port is null ? $"{request.Host.Value}:{(request.IsHttps ? 443 : 80)}" : request.Host.Value ?? "";

    public static void Info(Utf8JsonWriter json, HttpRequest request, ControlPlaneOptions? options)
    {
        var url = $"{request.Scheme}://{request.Host.Value}";
        json.WriteString("name", "marathon");
        json.WriteString("version", SpeaksVersion);
        json.WriteString("buildref", $"drover {OwnVersion}");
        json.WriteBoolean("elected", true);
        json.WriteString("leader", Self(request));
        json.WriteString("frameworkId", MarathonEvents.FrameworkId);
        json.WriteStartObject("marathon_config");
        Numbers(json, options);
        Words(json, request.Host, url, options);
        json.WriteEndObject();
        json.WriteStartObject("zookeeper_config");
        Nulls(json, "zk", "zk_compression", "zk_compression_threshold", "zk_connection_timeout", "zk_max_node_size", "zk_max_versions", "zk_session_timeout", "zk_timeout");
        json.WriteEndObject();
        json.WriteStartObject("http_config");
        var port = request.Host.Port ?? (request.IsHttps ? 443 : 80);
        if (request.IsHttps) json.WriteNull("http_port"); else json.WriteNumber("http_port", port);
        if (request.IsHttps) json.WriteNumber("https_port", port); else json.WriteNull("https_port");
        json.WriteEndObject();
    }

    private static void Numbers(Utf8JsonWriter json, ControlPlaneOptions? options)
    {
        json.WriteNumber("local_port_min", ServicePorts.First);
        json.WriteNumber("local_port_max", ServicePorts.Last);
        json.WriteNumber("http_max_concurrent_requests", ApiGate.MostAtOnce(options));
        // Containers go on without the control plane for as long as it takes; those with volumes for the length of their lease, in Marathon's unit of seconds.
        json.WriteNumber("failover_timeout", (long)(options?.Lease ?? Core.Nodes.LeaseTerms.Default.Length).TotalSeconds);
        json.WriteNumber("event_stream_max_outstanding_messages", Events.EventRing.Backlog);
        // Nodes are looked at with every change; none of these is a matter of waiting here.
        foreach (var name in new[] { "scale_apps_initial_delay", "scale_apps_interval", "reconciliation_initial_delay", "reconciliation_interval", "min_revive_offers_interval", "leader_proxy_connection_timeout_ms", "leader_proxy_read_timeout_ms", "on_elected_prepare_timeout" })
            json.WriteNumber(name, 0);
        Nulls(json, "decline_offer_duration", "launch_tokens", "launch_token", "launch_token_refresh_interval", "max_instances_per_offer", "max_running_deployments", "max_apps", "mesos_heartbeat_failure_threshold", "mesos_heartbeat_interval",
            "offer_matching_timeout", "revive_offers_repetitions", "task_launch_confirm_timeout", "task_launch_timeout", "task_lost_expunge_initial_delay", "task_lost_expunge_interval", "task_reservation_timeout");
    }

    private static void Words(Utf8JsonWriter json, HostString host, string url, ControlPlaneOptions? options)
    {
        json.WriteString("hostname", host.Host);
        json.WriteString("webui_url", url);
        // Where clients look for a task's output: here, for no browser needs to reach a node.
        json.WriteString("mesos_leader_ui_url", url);
        json.WriteString("master", Self(host));
        json.WriteString("framework_name", options?.Name ?? "drover");
        json.WriteString("mesos_role", "*");
        json.WriteString("new_group_enforce_role", "off");
        json.WriteString("executor", "//cmd");
        json.WriteString("mesos_bridge_name", "bridge");
        json.WriteBoolean("ha", false);
        json.WriteBoolean("checkpoint", true);
        json.WriteBoolean("store_cache", true);
        json.WriteBoolean("revive_offers_for_new_apps", true);
        Nulls(json, "access_control_allow_origin", "default_network_name", "env_vars_prefix", "mesos_user");
        json.WriteStartArray("features");
        json.WriteStringValue("external_volumes");
        json.WriteEndArray();
    }

    private static string Self(HostString host) => host.Value ?? "";

    private static void Nulls(Utf8JsonWriter json, params ReadOnlySpan<string> names)
    {
        foreach (var name in names) json.WriteNull(name);
    }
}
