using Drover.Core;

namespace Drover.Contracts.Hosting;

/// <summary>Real chance. The one place it enters a process.</summary>
public sealed class SystemChance : IChance
{
#pragma warning disable RS0030 // this is the adapter that the ban points to
    public Guid NewGuid() => Guid.NewGuid();

    public double NextDouble() => Random.Shared.NextDouble();
#pragma warning restore RS0030
}
