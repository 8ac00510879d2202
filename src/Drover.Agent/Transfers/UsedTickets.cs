using System.Globalization;

namespace Drover.Agent.Transfers;

/// <summary>Nonces of tickets that were used and have not ended, in memory and in a small file: a restart of the agent does not make them good again.</summary>
/// <param name="file">Lines `end nonce`; made when there is something to keep.</param>
internal sealed class UsedTickets(string file, TimeProvider time)
{
    private const int MostNonces = 100_000, LongestNonce = 128, LinesBeforePruning = 1024;
    private readonly Lock _gate = new(), _writing = new();
    private readonly Dictionary<string, long> _used = Read(file);
    private int _lines = int.MaxValue; // what a crash left may end in half a line: the first write makes the file anew

    /// <param name="kept">Settled when it is on disk. Nothing that the ticket allows may become visible before; a crash before it takes the arriving data along.</param>
    public TicketUse Use(string nonce, long end, out Task kept)
    {
        kept = Task.CompletedTask;
        if (nonce.Length is 0 or > LongestNonce || nonce.Any(c => char.IsWhiteSpace(c) || char.IsControl(c))) return TicketUse.NoNonce;
        lock (_gate)
        {
            Prune();
            if (_used.ContainsKey(nonce)) return TicketUse.Again;
            if (_used.Count >= MostNonces) return TicketUse.TooMany;
            _used.Add(nonce, end);
        }
        kept = Task.Run(() => Keep(nonce, end));
        return TicketUse.First;
    }

    private void Prune()
    {
        var now = time.GetUtcNow().ToUnixTimeSeconds();
        foreach (var (nonce, end) in _used) if (end < now) _used.Remove(nonce);
    }

    private void Keep(string nonce, long end)
    {
        lock (_writing)
        {
            List<KeyValuePair<string, long>> all;
            lock (_gate) all = [.. _used];
            if (_lines < (2 * all.Count) + LinesBeforePruning) Append(nonce, end);
            else WriteAnew(all);
        }
    }

    private void Append(string nonce, long end)
    {
        using var stream = new FileStream(file, FileMode.Append);
        stream.Write(Line(nonce, end));
        stream.Flush(flushToDisk: true);
        _lines++;
    }

    private void WriteAnew(List<KeyValuePair<string, long>> all)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        var fresh = file + ".new";
        using (var stream = new FileStream(fresh, FileMode.Create))
        {
            foreach (var (nonce, end) in all) stream.Write(Line(nonce, end));
            stream.Flush(flushToDisk: true);
        }
        // Safe: the new file is whole and on disk, and holds all of the old one that has not ended.
        File.Move(fresh, file, overwrite: true);
        _lines = all.Count;
    }

    private static byte[] Line(string nonce, long end) => System.Text.Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{end} {nonce}\n"));

    private static Dictionary<string, long> Read(string file)
    {
        var used = new Dictionary<string, long>();
        if (!File.Exists(file)) return used;
        foreach (var line in File.ReadLines(file))
            if (line.Split(' ') is [var end, { Length: > 0 } nonce] && long.TryParse(end, NumberStyles.None, CultureInfo.InvariantCulture, out var until)) used[nonce] = until;
        return used;
    }
}

internal enum TicketUse { First, Again, TooMany, NoNonce }
