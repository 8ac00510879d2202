namespace Drover.Agent.Plugins;

/// <summary>One of the protocols a Docker plugin may speak; several may share the socket.</summary>
public interface IPluginProtocol
{
    /// <summary>As in `Plugin.Activate`: `NetworkDriver`, `IpamDriver`, `VolumeDriver`.</summary>
    string Name { get; }

    /// <summary>One call. Must bear repetition: the daemon sends a call again when the connection broke, also with an empty body.
    /// Null: this protocol has no such call.</summary>
    Task<PluginAnswer?> Call(string method, ReadOnlyMemory<byte> body, CancellationToken cancel);
}

/// <param name="Status">200, or anything else for a refusal; the daemon shows the body's error to the user.</param>
public sealed record PluginAnswer(int Status, ReadOnlyMemory<byte> Json)
{
    public static readonly PluginAnswer Empty = new(200, "{}"u8.ToArray());
}
