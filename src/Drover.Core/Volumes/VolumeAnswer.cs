namespace Drover.Core.Volumes;

/// <summary>What came of a request about a volume.</summary>
public abstract record VolumeAnswer
{
    private VolumeAnswer() { }

    /// <summary>Work has begun.</summary>
    public sealed record Begun(VolumeOperation Operation) : VolumeAnswer;

    /// <summary>Done with its commit.</summary>
    public sealed record Changed(Volume Volume) : VolumeAnswer;

    /// <summary>Nothing has changed.</summary>
    public sealed record Refused(VolumeFault Fault, string Field, string Message, string Remedy) : VolumeAnswer;
}

/// <summary>Unknown: no such thing. NotNow: as things are, it may be asked again. Impossible: it cannot be.</summary>
public enum VolumeFault { Unknown, NotNow, Impossible }
