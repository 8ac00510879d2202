using System.Security.Cryptography.X509Certificates;
using Drover.Core.Trust;

namespace Drover.ControlPlane.Access;

/// <summary>The authorities that are trusted now: one, or two while one follows the other.</summary>
/// <remarks>While two are: the new one signs nodes' certificates, and the control plane shows a certificate of the old one, which every node trusts, also
/// one that was away when the change began. When the old one is dropped, every node has heard of the new one.</remarks>
public sealed class Authorities : IDisposable
{
    private readonly DataFolder _folder;
    private readonly TrustBook _book;
    private readonly TimeProvider _time;
    private readonly IReadOnlyList<string> _listened;
    private readonly Lock _lock = new();
    private readonly Dictionary<int, CertificateAuthority> _open = [];
    private (int Generation, X509Certificate2 Certificate)? _server;

    /// <param name="listened">Addresses that the control plane's own certificate is good for.</param>
    public Authorities(DataFolder folder, TrustBook book, TimeProvider time, IEnumerable<string> listened)
    {
        (_folder, _book, _time, _listened) = (folder, book, time, [.. listened]);
        // Only the very first is made here; any other that is missing was lost.
        _open[book.State.Authority] = book.State.Authority == 1 && book.State.Nodes.IsEmpty ? CertificateAuthority.OpenOrCreate(folder, time) : CertificateAuthority.Open(folder, time, book.State.Authority);
    }

    /// <summary>Signs what is issued now.</summary>
    public CertificateAuthority Current => Of(_book.State.Authority);

    private CertificateAuthority? Old => _book.State.OldAuthority is { } old ? Of(old) : null;

    /// <summary>Signs the control plane's own certificate.</summary>
    private CertificateAuthority Shown => Old ?? Current;

    public IEnumerable<CertificateAuthority> Trusted => Old is { } old ? [Current, old] : [Current];

    public string BundlePem => string.Join('\n', Trusted.Select(a => a.CertificatePem)) + "\n";

    /// <summary>Of all that are trusted: a token made while the authority changes is good before and after.</summary>
    public IReadOnlyList<string> Pins => [.. Trusted.Select(a => a.Pin)];

    /// <summary>Null: this is the certificate of a node of this cluster, now.</summary>
    public string? WhyNot(X509Certificate2 certificate)
    {
        string? why = null;
        foreach (var authority in Trusted)
        {
            var says = authority.WhyNot(certificate);
            if (says is null) return _book.State.WhyRevoked(NameOf(certificate), certificate.SerialNumber);
            // The one that signed it has more to say than the one that did not.
            if (why is null || !says.StartsWith("not signed", StringComparison.Ordinal)) why = says;
        }
        return why;
    }

    public static string NameOf(X509Certificate2 certificate) => certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false);

    /// <summary>The control plane's own certificate; made anew when two thirds of its life are over, or the authority is another.</summary>
    public X509Certificate2 Server()
    {
        var shown = Shown;
        lock (_lock)
        {
            if (_server is { } known && known.Generation == shown.Generation && known.Certificate.NotAfter.ToUniversalTime() - _time.GetUtcNow().UtcDateTime > CertificateAuthority.ServerLife / 3)
                return known.Certificate;
            // The one before is not disposed: handshakes may be using it.
            var made = shown.IssueForSelf(_listened.Concat(_book.State.Names).Distinct());
            _server = (shown.Generation, made);
            return made;
        }
    }

    /// <summary>A new authority beside the present one. Null: done.</summary>
    public async Task<string?> Rotate(CancellationToken cancel)
    {
        var next = _book.State.Authority + 1;
        if (TrustRules.BeginRotation(_book.State, next).Refusal is { } refusal) return refusal;
        // Files first. Left by a crash before the change was stored they have signed nothing, and are taken up by the next attempt.
        lock (_lock) _open[next] = CertificateAuthority.OpenOrCreate(_folder, _time, next);
        return await _book.Decide(state => TrustRules.BeginRotation(state, next), cancel);
    }

    /// <summary>Drops the old authority. Null: done.</summary>
    public async Task<string?> Finish(bool force, CancellationToken cancel)
    {
        var old = _book.State.OldAuthority;
        var refusal = await _book.Decide(state => TrustRules.FinishRotation(state, force, _time.GetUtcNow()), cancel);
        // Safe: the store no longer names it, so nothing that it signed is trusted. Its certificate stays, to tell what old files were.
        if (refusal is null && old is { } generation) File.Delete(_folder.AuthorityKeyOf(generation));
        return refusal;
    }

    private CertificateAuthority Of(int generation)
    {
        lock (_lock) return _open.TryGetValue(generation, out var there) ? there : _open[generation] = CertificateAuthority.Open(_folder, _time, generation);
    }

    public void Dispose()
    {
        foreach (var authority in _open.Values) authority.Dispose();
        _server?.Certificate.Dispose();
    }
}
