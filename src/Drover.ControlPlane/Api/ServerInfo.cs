namespace Drover.ControlPlane.Api;

/// <summary>What is true of this process.</summary>
public sealed record ServerInfo(DateTimeOffset StartedAt);
