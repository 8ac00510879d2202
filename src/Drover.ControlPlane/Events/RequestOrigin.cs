using Drover.Core.State;

namespace Drover.ControlPlane.Events;

/// <summary>Who asks, by HTTP, for what is being decided: flows with the request into the events that its decision makes.</summary>
public static class RequestOrigin
{
    private static readonly AsyncLocal<EventOrigin?> Flowing = new();

    /// <summary>For the rest of this request.</summary>
    public static void Is(HttpContext context) => Flowing.Value = new(AddressOf(context), $"{context.Request.Path}{context.Request.QueryString}");

    /// <summary>The same decision, its events with who asked for it. To be called where the request's flow is: decisions are taken elsewhere.</summary>
    public static Func<ClusterState, Decision<T>> Stamping<T>(Func<ClusterState, Decision<T>> decide)
    {
        if (Flowing.Value is not { } origin) return decide;
        return state =>
        {
            var decision = decide(state);
            return decision.Events.IsDefaultOrEmpty ? decision : decision with { Events = [.. decision.Events.Select(e => e.Origin is null ? e with { Origin = origin } : e)] };
        };
    }

    public static string AddressOf(HttpContext context) => context.Connection.RemoteIpAddress is { } address ? (address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address).ToString() : "";
}
