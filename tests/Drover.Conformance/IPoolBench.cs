using Drover.Agent.Volumes;
using Drover.Core;

namespace Drover.Conformance;

/// <summary>One pool of the driver under test, and what a test needs to do to it from outside.</summary>
public interface IPoolBench : IAsyncDisposable
{
    IVolumeDriver Driver { get; }

    /// <summary>The agent died and came back: a new driver on the same data, not yet recovered.</summary>
    Task Restart();

    /// <summary>From now on the driver dies (throws <see cref="CutShort"/>) when it reaches this point of a verb.</summary>
    void CutShortAt(string point);

    /// <summary>As a container would, through the mounted live data.</summary>
    void Write(VolumeName volume, string file, byte[] contents);

    void Delete(VolumeName volume, string file);

    /// <summary>Opens a file for writing as a container would.</summary>
    IOpenFile Open(VolumeName volume, string file);

    /// <summary>A hash of names and contents of the live data of that epoch; null when there is none.</summary>
    string? Contents(VolumeName volume, Epoch epoch);
}

public interface IOpenFile : IDisposable
{
    void Write(byte[] contents);
}

/// <summary>Stands for the death of the agent at a chosen point.</summary>
public sealed class CutShort(string point) : Exception($"cut short at '{point}'");
