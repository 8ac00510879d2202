using Drover.Core;

namespace Drover.Testing;

/// <summary>Chance that repeats itself from its seed.</summary>
public sealed class SeededChance(int seed) : IChance
{
    private readonly Random _random = new(seed);

    public Guid NewGuid()
    {
        Span<byte> bytes = stackalloc byte[16];
        lock (_random) _random.NextBytes(bytes);
        return new Guid(bytes);
    }

    public double NextDouble()
    {
        lock (_random) return _random.NextDouble();
    }
}
