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

/// <summary>Checks tickets on the node that receives.</summary>
/// <remarks>Used nonces are kept in memory until their ticket ends; a ticket is refused when it ends more than <see cref="LongestLife"/> from now, so the
/// memory is bounded. After a restart of the agent a ticket that has not ended could be shown again by the same node, which could only repeat what it was
/// allowed: the same snapshot under the same name.</remarks>
internal sealed class TicketDesk(TicketKey key, string node, TimeProvider time)
{
    public static readonly TimeSpan LongestLife = TimeSpan.FromHours(24);
    private const int MostNonces = 100_000;
    private readonly Dictionary<string, long> _used = [];

    /// <summary>Null when the ticket allows this; else why not.</summary>
    /// <param name="peer">Name in the peer's certificate.</param>
    public Refuse? Check(Hello hello, string peer, out Ticket? ticket)
    {
        ticket = null;
        if (!TryRead(hello.Ticket, out var data, out var signature)) return Refused("the ticket is not of the agreed form");
        switch (key.Verify(data, signature))
        {
            case null: return new("this node has not met its control plane yet and cannot check tickets: repeat in a moment", "retry");
            case false: return Refused("the ticket is not signed by this cluster's control plane");
        }
        try { ticket = FrameChannel.Parse(data, TransferJson.Default.Ticket); }
        catch (InvalidDataException e) { return Refused(e.Message); }
        if (ticket.Source != peer) return Refused($"the ticket is for node {ticket.Source}, it was shown by {peer}");
        if (ticket.Target != node) return Refused($"the ticket is for target {ticket.Target}, this is {node}");
        if ((ticket.Volume, ticket.Snapshot, ticket.Epoch) != (hello.Volume, hello.Snapshot, hello.Epoch))
            return Refused($"the ticket allows {ticket.Volume}/{ticket.Snapshot} at epoch {ticket.Epoch}, not {hello.Volume}/{hello.Snapshot} at epoch {hello.Epoch}");
        return Spend(ticket);
    }

    private Refuse? Spend(Ticket ticket)
    {
        var now = time.GetUtcNow().ToUnixTimeSeconds();
        if (ticket.NotAfter < now) return new("the ticket has ended: the control plane gives a new one with the next try; where that ends too, check the clocks of both machines", "retry");
        if (ticket.NotAfter > now + (long)LongestLife.TotalSeconds) return Refused("the ticket lasts longer than a day: refused; check the clocks");
        if (string.IsNullOrEmpty(ticket.Nonce)) return Refused("the ticket has no nonce");
        lock (_used)
        {
            foreach (var (nonce, end) in _used) if (end < now) _used.Remove(nonce);
            if (_used.Count >= MostNonces) return new("too many tickets in one day: repeat later", "retry");
            return _used.TryAdd(ticket.Nonce, ticket.NotAfter) ? null : new("the ticket was used before: the control plane gives a new one with the next try", "retry");
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

    private static Refuse Refused(string error) => new(error, "refused");
}
