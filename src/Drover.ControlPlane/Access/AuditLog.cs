using System.Text;
using System.Text.Json;
using Drover.ControlPlane.Store;
using Drover.Core.Trust;

namespace Drover.ControlPlane.Access;

/// <summary>The append-only log of every change and every identity refusal: `audit.jsonl`, one chained line each, on the disk before it counts as said. When it has grown enough it is put by under the number of its last entry, and
/// the next entry, which names that one's hash, begins a new file.</summary>
/// <remarks>After each line its number and hash go into the store, so that a tail cut off the file is noticed. What was put by is read by whoever verifies, not at the start.</remarks>
public sealed class AuditLog : IDisposable
{
    private const string Key = "trust/audit";
    /// <summary>Whoever knocks without end must not fill the disk: of refusals so many are written a minute, the rest are counted.</summary>
    public const int RefusalsAMinute = 60;
    /// <summary>Some forty thousand entries.</summary>
    private const long UsualFile = 16 << 20;

    private readonly IStateStore _store;
    private readonly TimeProvider _time;
    private readonly DataFolder _folder;
    private readonly long _fileSize;
    private FileStream _file;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private AuditHead _head;
    private long _version;
    private DateTimeOffset _minute;
    private int _refusals, _unwritten;

    private AuditLog(IStateStore store, TimeProvider time, DataFolder folder, long fileSize, FileStream file, AuditHead head, long version) =>
        (_store, _time, _folder, _fileSize, _file, _head, _version) = (store, time, folder, fileSize, file, head, version);

    /// <param name="fileSize">From this size on a new file is begun.</param>
    public static async Task<AuditLog> Open(DataFolder folder, IStateStore store, TimeProvider time, long fileSize = UsualFile)
    {
        var entry = await store.Get(Key, CancellationToken.None);
        var head = entry is null ? AuditHead.Empty : JsonSerializer.Deserialize(entry.Value.Span, AuditJson.Default.AuditHead) ?? AuditHead.Empty;
        var file = OpenFile(folder);
        return new(store, time, folder, fileSize, file, Continue(folder, file, head), entry?.Version ?? 0);
    }

    // No buffer: what a full disk did not take must not stay behind and be written later.
    private static FileStream OpenFile(DataFolder folder) =>
        new(folder.Audit, new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.Read, UnixCreateMode = DataFolder.Secret, BufferSize = 0 });

    /// <summary>A change, or what came of asking for one.</summary>
    public Task Add(string who, string role, string from, string what, string outcome, string detail) => Append(who, role, from, what, outcome, detail, refusal: false);

    /// <summary>Somebody was not let in.</summary>
    public Task Refused(string who, string role, string from, string what, string why) => Append(who, role, from, what, "refused", why, refusal: true);

    /// <summary>The newest entries, oldest first.</summary>
    public async Task<IReadOnlyList<AuditEntry>> Tail(int count, CancellationToken cancel)
    {
        await _turn.WaitAsync(cancel);
        try
        {
            var last = new List<AuditEntry>();
            foreach (var line in Backward(_folder, _file))
            {
                if (last.Count == count) break;
                if (AuditChain.Read(line) is var (entry, _)) last.Add(entry);
            }
            last.Reverse();
            return last;
        }
        finally { _turn.Release(); }
    }

    /// <summary>Of every file there is.</summary>
    public async Task<AuditVerdict> Verify(CancellationToken cancel)
    {
        byte[] current;
        IReadOnlyList<string> before;
        AuditHead head;
        await _turn.WaitAsync(cancel);
        try
        {
            // Nobody who changes something waits for the long part: what was put by is not changed any more, and of what is written this much is looked at.
            current = new byte[_file.Length];
            for (int got = 0, read = 1; got < current.Length && read > 0; got += read) read = RandomAccess.Read(_file.SafeFileHandle, current.AsSpan(got), got);
            (before, head) = (PutBy(_folder), _head);
        }
        finally { _turn.Release(); }
        return AuditSegments.Verify([.. before.Select(path => new AuditSegment(Path.GetFileName(path), File.ReadLines(path))), new(AuditSegments.Current, LinesOf(current))], head);
    }

    private static IEnumerable<string> LinesOf(byte[] text)
    {
        using var reader = new StreamReader(new MemoryStream(text));
        while (reader.ReadLine() is { } line) yield return line;
    }

    /// <summary>The files before the one that is written, the oldest first.</summary>
    private static IReadOnlyList<string> PutBy(DataFolder folder) =>
        [.. AuditSegments.InOrder(Directory.EnumerateFileSystemEntries(folder.Path).Select(path => Path.GetFileName(path))).Where(name => name != AuditSegments.Current).Select(name => Path.Combine(folder.Path, name))];

    /// <summary>The newest line first, over all files; one is opened when it is come to.</summary>
    private static IEnumerable<string> Backward(DataFolder folder, FileStream current)
    {
        foreach (var line in BackwardLines.Of(current.SafeFileHandle)) yield return line;
        foreach (var path in PutBy(folder).Reverse())
        {
            using var file = File.OpenHandle(path);
            foreach (var line in BackwardLines.Of(file)) yield return line;
        }
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
        if (_file.Length >= _fileSize) BeginFile();
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

    private void BeginFile()
    {
        var keep = Path.Combine(_folder.Path, AuditSegments.NameOf(_head.Count));
        try
        {
            // Safe: the lines stay as they are under another name, and nothing that is there is overwritten. Its name is on the disk with the first line of the new file, whose flush takes the folder along.
            File.Move(_folder.Audit, keep, overwrite: false);
            try
            {
                var fresh = OpenFile(_folder);
                _file.Dispose();
                _file = fresh;
            }
            catch (IOException)
            {
                File.Move(keep, _folder.Audit, overwrite: false);
                throw;
            }
        }
        catch (IOException) { /* It goes on in the same file: an entry is worth more than a size. The next one tries again. */ }
    }

    /// <summary>Where to go on. A last line that a crash tore is taken off; whole lines that the store had not heard of yet count, if they follow. Only those are read.</summary>
    private static AuditHead Continue(DataFolder folder, FileStream file, AuditHead known)
    {
        var whole = BackwardLines.WholeEnd(file.SafeFileHandle);
        // Safe: a line counts as said only when its end is on the disk; what it told of was not answered either.
        if (whole < file.Length) file.SetLength(whole);
        var news = new Stack<(AuditEntry Entry, string Hash)>();
        foreach (var line in Backward(folder, file))
        {
            if (AuditChain.Read(line) is not var (entry, hash)) continue;
            if (entry.Sequence <= known.Count) break;
            news.Push((entry, hash));
        }
        var head = known;
        foreach (var (entry, hash) in news)
            if (entry.Sequence == head.Count + 1 && entry.Previous == head.Hash) head = new(entry.Sequence, hash);
        // Lines that are missing stay missing: the next one goes on from what the store knows, and the gap shows.
        return head;
    }

    private static string Short(string text) => text.Length > 400 ? $"{text[..400]}…" : text;

    public void Dispose()
    {
        _file.Dispose();
        _turn.Dispose();
    }
}
