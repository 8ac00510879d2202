using System.Buffers.Binary;

namespace Drover.ControlPlane.Store;

/// <summary>Number of this start of the control plane on this store: 1 the first time. Orders carry it, so that those of an earlier start are older whatever the clock says.</summary>
public static class Term
{
    private const string Key = "meta/term";

    public static async Task<long> Next(IStateStore store)
    {
        var entry = await store.Get(Key, CancellationToken.None);
        var next = (entry is null ? 0 : BinaryPrimitives.ReadInt64BigEndian(entry.Value.Span)) + 1;
        var bytes = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64BigEndian(bytes, next);
        var outcome = await store.Commit([new StateWrite(Key, bytes, entry?.Version ?? 0)], CancellationToken.None);
        if (outcome.Conflict) throw new InvalidOperationException("Another control plane started on this store at the same time: run only one.");
        return next;
    }
}
