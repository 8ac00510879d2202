using System.IO.Pipelines;
using Drover.Agent.Volumes;

namespace Drover.Agent.Transfers;

/// <summary>The bounded buffer between a driver's stream and the network: lets the bursts of one side pass while the other commits.</summary>
internal static class Ring
{
    public const int Bytes = 16 * 1024 * 1024;
    /// <summary>Data under way beyond what the receiver's ring holds.</summary>
    public const int Window = 8 * 1024 * 1024;

    /// <summary>On the sender's side, where what the target has not confirmed (the window) is held besides. The target's disk is the one that pauses: it commits.</summary>
    public const int Ahead = 4 * 1024 * 1024;

    public static Pipe New() => Of(Bytes);

    public static Pipe ToSend() => Of(Ahead);

    private static Pipe Of(int bytes) =>
        new(new PipeOptions(StreamBuffers.Shared.Memory, pauseWriterThreshold: bytes, resumeWriterThreshold: bytes / 2, minimumSegmentSize: FrameChannel.MaxData, useSynchronizationContext: false));
}
