using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text.Json;

namespace Drover.Agent.Transfers;

/// <summary>What the control plane allows: this snapshot of this volume, from this node to that one, once, until then.</summary>
internal sealed record Ticket(string Move, string Volume, long Epoch, string Snapshot, string Source, string Target, long NotAfter, string Nonce);

/// <summary>The control plane's public key, as it said at the meeting. Until then every ticket is refused.</summary>
public sealed class TicketKey
{
    private volatile ECDsa? _key;

    /// <param name="pem">ECDSA P-256, SubjectPublicKeyInfo.</param>
    public void Set(string pem)
    {
        var key = ECDsa.Create();
        key.ImportFromPem(pem);
        _key = key;
    }

    /// <summary>Null when no key is known yet.</summary>
    internal bool? Verify(ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature) =>
        _key is { } key ? key.VerifyData(data, signature, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation) : null;
}

/// <summary>What a ticket allows here.</summary>
/// <param name="Again">It was used before: good only where the same greeting's receive still waits.</param>
/// <param name="Kept">Settled when it is known on disk as used.</param>
internal sealed record Admission(Ticket Ticket, bool Again, Task Kept);

/// <summary>Why not. <paramref name="Event"/>: what the operator is told, where it is about identity.</summary>
internal sealed record Rejection(Refuse Say, string? Event);

/// <summary>Checks tickets on the node that receives. A ticket is refused when it ends more than <see cref="LongestLife"/> from now, so the memory of used ones is bounded.</summary>
internal sealed class TicketDesk(TicketKey key, string node, UsedTickets used, TimeProvider time)
{
    public static readonly TimeSpan LongestLife = TimeSpan.FromHours(24);
    public static readonly Rejection UsedBefore = new(new("the ticket was used before: the control plane gives a new one with the next try", "retry"), "ticket-reused");

    /// <summary>The admission, or why not.</summary>
    /// <param name="peer">Name in the peer's certificate.</param>
    public Rejection? Check(Hello hello, string peer, out Admission? admission)
    {
        admission = null;
        if (!TryRead(hello.Ticket, out var data, out var signature)) return Refused("ticket-forged", "the ticket is not of the agreed form: bring both agents and the control plane to one version");
        switch (key.Verify(data, signature))
        {
            case null: return new(new("this node has not met its control plane yet and cannot check tickets: repeat in a moment", "retry"), null);
            case false: return Refused("ticket-forged", "the ticket is not signed by this cluster's control plane: see in the audit log who showed it");
        }
        Ticket ticket;
        try { ticket = FrameChannel.Parse(data, TransferJson.Default.Ticket); }
        catch (InvalidDataException e) { return Refused("ticket-forged", e.Message); }
        if (ticket.Source != peer) return Refused("ticket-foreign", $"the ticket is for node {ticket.Source}, it was shown by {peer}");
        if (ticket.Target != node) return Refused("ticket-foreign", $"the ticket is for target {ticket.Target}, this is {node}");
        if ((ticket.Volume, ticket.Snapshot, ticket.Epoch) != (hello.Volume, hello.Snapshot, hello.Epoch))
            return Refused("ticket-foreign", $"the ticket allows {ticket.Volume}/{ticket.Snapshot} at epoch {ticket.Epoch}, not {hello.Volume}/{hello.Snapshot} at epoch {hello.Epoch}");
        return Spend(ticket, out admission);
    }

    private Rejection? Spend(Ticket ticket, out Admission? admission)
    {
        admission = null;
        var now = time.GetUtcNow().ToUnixTimeSeconds();
        if (ticket.NotAfter < now)
            return new(new("the ticket has ended: the control plane gives a new one with the next try; where that ends too, check the clocks of both machines", "retry"), "ticket-stale");
        if (ticket.NotAfter > now + (long)LongestLife.TotalSeconds) return Refused("ticket-forged", "the ticket lasts longer than a day: refused; check the clocks");
        switch (used.Use(ticket.Nonce ?? "", ticket.NotAfter, out var kept))
        {
            case TicketUse.NoNonce: return Refused("ticket-forged", "the ticket has no nonce of the agreed form: bring both agents and the control plane to one version");
            case TicketUse.TooMany: return new(new("too many tickets in one day: repeat later", "retry"), null);
            case var use:
                admission = new(ticket, use == TicketUse.Again, kept);
                return null;
        }
    }

    private static bool TryRead(string text, out byte[] data, out byte[] signature)
    {
        (data, signature) = ([], []);
        if (text?.Split('.') is not [var first, var second]) return false;
        try { (data, signature) = (Base64Url.DecodeFromChars(first), Base64Url.DecodeFromChars(second)); }
        catch (FormatException) { return false; }
        return true;
    }

    private static Rejection Refused(string what, string error) => new(new(error, "refused"), what);
}
