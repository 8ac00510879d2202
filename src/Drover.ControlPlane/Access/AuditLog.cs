using System.Text;
using System.Text.Json;
using Drover.ControlPlane.Store;
using Drover.Core.Trust;

namespace Drover.ControlPlane.Access;

/// <summary>The append-only log of every change and every identity refusal: `audit.jsonl`, one chained line each, on the disk before it counts as said.</summary>
/// <remarks>After each line its number and hash go into the store, so that a tail cut off the file is noticed.</remarks>
public sealed class AuditLog : IDisposable
{
    private const string Key = "trust/audit";
    /// <summary>Whoever knocks without end must not fill the disk: of refusals so many are written a minute, the rest are counted.</summary>
    public const int RefusalsAMinute = 60;

    private readonly IStateStore _store;
    private readonly TimeProvider _time;
    private readonly FileStream _file;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private AuditHead _head;
    private long _version;
    private DateTimeOffset _minute;
    private int _refusals, _unwritten;

    private AuditLog(IStateStore store, TimeProvider time, FileStream file, AuditHead head, long version) => (_store, _time, _file, _head, _version) = (store, time, file, head, version);

    public static async Task<AuditLog> Open(DataFolder folder, IStateStore store, TimeProvider time)
    {
        var entry = await store.Get(Key, CancellationToken.None);
        var head = entry is null ? AuditHead.Empty : JsonSerializer.Deserialize(entry.Value.Span, AuditJson.Default.AuditHead) ?? AuditHead.Empty;
        // No buffer: what a full disk did not take must not stay behind and be written later.
        var file = new FileStream(folder.Audit, new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.Read, UnixCreateMode = DataFolder.Secret, BufferSize = 0 });
        return new(store, time, file, Continue(file, head), entry?.Version ?? 0);
    }

    /// <summary>A change, or what came of asking for one.</summary>
    public Task Add(string who, string role, string from, string what, string outcome, string detail) => Append(who, role, from, what, outcome, detail, refusal: false);

    /// <summary>Somebody was not let in.</summary>
    public Task Refused(string who, string role, string from, string what, string why) => Append(who, role, from, what, "refused", why, refusal: true);

    /// <summary>The newest entries, oldest first.</summary>
    public async Task<IReadOnlyList<AuditEntry>> Tail(int count, CancellationToken cancel)
    {
        var last = new Queue<AuditEntry>();
        foreach (var line in await Lines(cancel))
        {
            if (AuditChain.Read(line) is not var (entry, _)) continue;
            if (last.Count == count) last.Dequeue();
            last.Enqueue(entry);
        }
        return [.. last];
    }

    public async Task<AuditVerdict> Verify(CancellationToken cancel)
    {
        await _turn.WaitAsync(cancel);
        try { return AuditChain.Verify(ReadLines(_file.Name), _head); }
        finally { _turn.Release(); }
    }

    private async Task<IReadOnlyList<string>> Lines(CancellationToken cancel)
    {
        await _turn.WaitAsync(cancel);
        try { return [.. ReadLines(_file.Name)]; }
        finally { _turn.Release(); }
    }

    private async Task Append(string who, string role, string from, string what, string outcome, string detail, bool refusal)
    {
        await _turn.WaitAsync();
        try
        {
            var now = _time.GetUtcNow();
            if (refusal && !Admit(now)) return;
            if (_unwritten > 0 && (!refusal || _refusals == 1)) await WriteUnwritten(now);
            await Write(new(_head.Count + 1, now, Short(who), role, from, Short(what), outcome, Short(detail), _head.Hash));
        }
        finally { _turn.Release(); }
    }

    private bool Admit(DateTimeOffset now)
    {
        if (now - _minute >= TimeSpan.FromMinutes(1)) (_minute, _refusals) = (now, 0);
        if (_refusals++ < RefusalsAMinute) return true;
        _unwritten++;
        return false;
    }

    private Task WriteUnwritten(DateTimeOffset now)
    {
        var many = _unwritten;
        _unwritten = 0;
        return Write(new(_head.Count + 1, now, "drover-control", "system", "", "identity refused", "refused", $"{many} more refusals than {RefusalsAMinute} a minute, not written one by one", _head.Hash));
    }

    private async Task Write(AuditEntry entry)
    {
        var (line, head) = AuditChain.Write(entry);
        var end = _file.Length;
        try
        {
            _file.Seek(0, SeekOrigin.End);
            await _file.WriteAsync(Encoding.UTF8.GetBytes(line + "\n"));
            _file.Flush(flushToDisk: true);
        }
        catch (IOException)
        {
            // Safe: what is cut off is the half of a line that nobody was told of; the next one must not be glued to it.
            _file.SetLength(end);
            throw;
        }
        _head = head;
        var outcome = await _store.Commit([new StateWrite(Key, JsonSerializer.SerializeToUtf8Bytes(head, AuditJson.Default.AuditHead), _version)], CancellationToken.None);
        if (outcome.Conflict) throw new InvalidOperationException("Another control plane writes to this store: run only one.");
        _version++;
    }

    /// <summary>Where to go on. A last line that a crash tore is taken off; whole lines that the store had not heard of yet count, if they follow.</summary>
    private static AuditHead Continue(FileStream file, AuditHead known)
    {
        var text = new byte[file.Length];
        file.ReadExactly(text);
        var whole = text.AsSpan().LastIndexOf((byte)'\n') + 1;
        // Safe: a line counts as said only when its end is on the disk; what it told of was not answered either.
        if (whole < text.Length) file.SetLength(whole);
        var lines = Encoding.UTF8.GetString(text, 0, whole).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var head = known;
        foreach (var line in lines)
            if (AuditChain.Read(line) is var (entry, hash) && entry.Sequence == head.Count + 1 && entry.Previous == head.Hash) head = new(entry.Sequence, hash);
        // Lines that are missing stay missing: the next one goes on from what the store knows, and the gap shows.
        return head;
    }

    private static IEnumerable<string> ReadLines(string path)
    {
        using var reader = new StreamReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        while (reader.ReadLine() is { } line) yield return line;
    }

    private static string Short(string text) => text.Length > 400 ? $"{text[..400]}…" : text;

    public void Dispose()
    {
        _file.Dispose();
        _turn.Dispose();
    }
}
