using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.ControlPlane.Agents;

/// <summary>Promotes standbys by an operator's order, where the old primary certainly writes no more.</summary>
public sealed class VolumePromotions(ICluster cluster, LeaseBook leases, TimeProvider time)
{
    public async Task<PromotionAnswer> Promote(PromotionWish wish, CancellationToken cancel)
    {
        if (!cluster.Current.Volumes.TryGetValue(wish.Volume, out var volume))
            return new PromotionAnswer.Refused(PromotionFault.Unknown, "volume", $"there is no volume '{wish.Volume}'", "list what there is with: drover volumes");
        if (volume is { Primary: null, Missing: { } why })
            return new PromotionAnswer.Refused(PromotionFault.Impossible, "volume", $"volume '{wish.Volume}' has no data: {why}", $"clone or import it again: drover volume clone SOURCE {wish.Volume}");
        if (volume.Primary is not { } primary)
            return new PromotionAnswer.Refused(PromotionFault.Impossible, "volume", $"volume '{wish.Volume}' was never on any node", "start an app with it: then it comes to be");
        return await leases.DecideWithout(primary, (state, left) => Promotion.Decide(state, wish, primary, left, time.GetUtcNow()), cancel);
    }
}
