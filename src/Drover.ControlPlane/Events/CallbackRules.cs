using System.Net;
using System.Net.Sockets;

namespace Drover.ControlPlane.Events;

/// <summary>Where events may be posted to. Only admins say so, but what they say becomes requests from the control plane's own machine: its neighbours on the link, its metadata service and,
/// unless the API is for this machine alone, what listens on its loopback are nobody's to reach. Pure.</summary>
public static class CallbackRules
{
    public const int MaxLength = 2_048;
    public const int MaxCallbacks = 100;

    /// <summary>Why this is no address for events, with what would be; null: it is one, as far as its text goes. Names are looked up, and their addresses judged, at each connection.</summary>
    public static string? Refusal(string text, bool loopback)
    {
        if (text.Length == 0) return "callbackUrl is missing: say where events are to be posted, such as ?callbackUrl=http://10.0.0.9:8000/events";
        if (text.Length > MaxLength) return $"callbackUrl has {text.Length} characters; at most {MaxLength} are taken";
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https") || url.Host.Length == 0) return "callbackUrl must be an absolute http or https URL, such as http://10.0.0.9:8000/events";
        if (url.UserInfo.Length > 0) return "callbackUrl must hold no user and password: they would be shown to everybody who lists the subscriptions";
        if (url.Fragment.Length > 0) return "callbackUrl must have no fragment (#…): it is never sent";
        if (IPAddress.TryParse(url.Host.Trim('[', ']'), out var address) && AddressRefusal(address, loopback) is { } refused) return $"callbackUrl: {refused}";
        if (!loopback && (url.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || url.Host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase))) return $"callbackUrl: {NoLoopback}";
        return null;
    }

    private const string NoLoopback = "events are posted to this machine's loopback only where the API itself listens there alone; give the machine's own address";

    /// <summary>Null: may be connected to.</summary>
    public static string? AddressRefusal(IPAddress address, bool loopback)
    {
        if (address.IsIPv4MappedToIPv6) address = address.MapToIPv4();
        if (IPAddress.IsLoopback(address)) return loopback ? null : NoLoopback;
        var bytes = address.GetAddressBytes();
        var refused = address.AddressFamily == AddressFamily.InterNetwork
            ? bytes is [169, 254, ..] or [0, ..] or [>= 224, ..]
            : address.IsIPv6LinkLocal || address.IsIPv6Multicast || address.Equals(IPAddress.IPv6Any) || address.IsIPv6SiteLocal;
        return refused ? $"{address} is a link-local, multicast or reserved address; events are posted to routed addresses only" : null;
    }
}
