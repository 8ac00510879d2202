using Drover.Core;

namespace Drover.ControlPlane.Access;

/// <summary>Signs the right to bring one snapshot of one volume from one node to another, once (proto/drover/agent/v1/transfer.md).</summary>
public interface ITransferTickets
{
    /// <summary>A fresh ticket in its wire form; each has a nonce of its own and ends at <see cref="TransferGrant.NotAfter"/>.</summary>
    string Sign(TransferGrant grant);
}

/// <param name="Epoch">Of the source's live data.</param>
public sealed record TransferGrant(MoveId Move, VolumeName Volume, Epoch Epoch, SnapshotName Snapshot, NodeId Source, NodeId Target, DateTimeOffset NotAfter);
