namespace Drover.Core.Apps;

/// <summary>Within what a rolling upgrade stays.</summary>
/// <param name="MinHealthy">As many serve throughout, as far as it lies with the upgrade.</param>
/// <param name="MaxCapacity">As many exist at most, those that are being stopped counted.</param>
public readonly record struct UpgradeBounds(int MinHealthy, int MaxCapacity)
{
    // 100 × 0.07 is 7.000000000000001: without this, an eighth copy would have to serve.
    private const double Rounding = 1e-9;

    /// <param name="alive">Copies that exist, whatever their configuration and state.</param>
    public static UpgradeBounds Of(int wanted, UpgradeStrategy strategy, int alive)
    {
        var least = (int)Math.Ceiling((wanted * strategy.MinimumHealthCapacity) - Rounding);
        var most = (int)Math.Floor((wanted * (1 + strategy.MaximumOverCapacity)) + Rounding);
        // With no room either way nothing could ever begin: one more than allowed exists for a while.
        return new(least, least == most && alive >= most ? most + 1 : most);
    }
}
