namespace Drover.Core;

/// <summary>Where ids and jitter come from: injected, so that a run can be repeated from its seed.</summary>
public interface IChance
{
    Guid NewGuid();

    /// <summary>A number in [0, 1).</summary>
    double NextDouble();
}
