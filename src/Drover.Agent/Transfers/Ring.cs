using System.IO.Pipelines;

namespace Drover.Agent.Transfers;

/// <summary>The bounded buffer between a driver's stream and the network: lets the bursts of one side pass while the other commits.</summary>
internal static class Ring
{
    public const int Bytes = 16 * 1024 * 1024;
    /// <summary>Data under way beyond what the receiver's ring holds.</summary>
    public const int Window = 8 * 1024 * 1024;

    public static Pipe New() => new(new PipeOptions(pauseWriterThreshold: Bytes, resumeWriterThreshold: Bytes / 2, minimumSegmentSize: FrameChannel.MaxData, useSynchronizationContext: false));
}
