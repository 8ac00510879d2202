using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.ControlPlane.Store;

/// <summary>What lies in the store, as far as the next commit must know: versions of keys, and which specs are there for the copies that name them.</summary>
/// <remarks>A copy's spec is stored once for all copies of one version, under its hash (<see cref="SpecShelf"/>): a thousand copies of one app are a thousand short entries, and one object in memory.</remarks>
internal sealed class StoredKeys
{
    private const string Instances = "instances/";

    // Copies are by far the most: their ids are in memory already, a key of text for each would be a second.
    private readonly Dictionary<InstanceId, int> _instances = [];
    private readonly Dictionary<string, long> _versions = new(StringComparer.Ordinal);
    // Copies of each spec, by its hash.
    private readonly Dictionary<string, int> _uses = new(StringComparer.Ordinal);
    // Of the writes that were made last, those of copies.
    private readonly Dictionary<string, InstanceId> _written = new(StringComparer.Ordinal);
    private SpecShelf _shelf = new();

    /// <summary>Everything there is, read anew.</summary>
    public async Task<ClusterState> Load(IStateStore store, CancellationToken cancel)
    {
        (_shelf, var changes) = (new SpecShelf(), new List<ClusterChange>());
        _instances.Clear();
        _versions.Clear();
        _uses.Clear();
        foreach (var entry in await store.List(SpecShelf.Prefix, cancel))
        {
            _shelf.Read(entry);
            _versions[entry.Key] = entry.Version;
        }
        foreach (var prefix in ClusterSchema.Prefixes)
        {
            foreach (var entry in await store.List(prefix, cancel))
            {
                changes.Add(Read(entry));
                if (changes[^1] is not ClusterChange.PutInstance(var copy)) _versions[entry.Key] = entry.Version;
                else
                {
                    _instances[copy.Id] = (int)entry.Version;
                    CollectionsMarshal.GetValueRefOrAddDefault(_uses, _shelf.HashOf(copy.Spec), out _)++;
                }
            }
        }
        return ClusterState.Empty.Restore(changes);
    }

    /// <summary>One write a key, the last change of it: a commit sets each key once.</summary>
    public List<StateWrite> Writes(ClusterState before, ClusterState after, IEnumerable<ClusterChange> changes)
    {
        _written.Clear();
        var writes = new List<StateWrite>();
        var last = new Dictionary<string, ClusterChange>(StringComparer.Ordinal);
        var copies = new HashSet<InstanceId>();
        foreach (var change in changes)
        {
            if (!change.Durable) continue;
            if (change is ClusterChange.PutInstance(var put)) copies.Add(put.Id);
            else if (change is ClusterChange.RemoveInstance(var gone)) copies.Add(gone);
            else last[ClusterSchema.KeyOf(change)] = change;
        }
        foreach (var (key, change) in last) Add(writes, key, ClusterSchema.ValueOf(change), _versions.GetValueOrDefault(key));
        var uses = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var id in copies) AddCopy(writes, uses, id, before.Instances.GetValueOrDefault(id), after.Instances.GetValueOrDefault(id));
        foreach (var (hash, more) in uses) AddSpec(writes, hash, _uses.GetValueOrDefault(hash) + more);
        return writes;
    }

    /// <summary>They are in the store.</summary>
    public void Written(IReadOnlyList<StateWrite> writes)
    {
        foreach (var write in writes)
        {
            var (exists, version) = (write.Value is not null, write.ExpectedVersion!.Value + 1);
            if (_written.TryGetValue(write.Key, out var id))
            {
                if (exists) _instances[id] = (int)version;
                else _instances.Remove(id);
            }
            else if (exists) _versions[write.Key] = version;
            else _versions.Remove(write.Key);
        }
    }

    private void AddCopy(List<StateWrite> writes, Dictionary<string, int> uses, InstanceId id, Instance? was, Instance? now)
    {
        if (was is not null) Use(_shelf.HashOf(was.Spec), -1);
        if (now is not null) Use(_shelf.HashOf(now.Spec), 1);
        var key = ClusterSchema.KeyOf(new ClusterChange.RemoveInstance(id));
        _written[key] = id;
        Add(writes, key, now is null ? default(ReadOnlyMemory<byte>?) : _shelf.Write(now), _instances.GetValueOrDefault(id));

        void Use(string hash, int more) => CollectionsMarshal.GetValueRefOrAddDefault(uses, hash, out _) += more;
    }

    /// <summary>A spec is stored with the first copy that names it, and goes with the last.</summary>
    private void AddSpec(List<StateWrite> writes, string hash, int uses)
    {
        var key = SpecShelf.Prefix + hash;
        var version = _versions.GetValueOrDefault(key);
        if (uses > 0 && version == 0) writes.Add(new(key, _shelf.BytesOf(hash), 0));
        // What no copy runs by can be taken from its app again.
        if (uses <= 0 && version > 0) writes.Add(new(key, null, version));
        // Counted here though the commit may still fail: then everything is read again first.
        if (uses > 0) _uses[hash] = uses;
        else if (_uses.Remove(hash)) _shelf.Forget(hash);
    }

    private static void Add(List<StateWrite> writes, string key, ReadOnlyMemory<byte>? value, long version)
    {
        if (value is null && version == 0) return;
        writes.Add(new(key, value, version));
    }

    private ClusterChange Read(StoredEntry entry) =>
        entry.Key.StartsWith(Instances, StringComparison.Ordinal) ? new ClusterChange.PutInstance(_shelf.ReadCopy(entry))
        // One object for an app and its copies.
        : ClusterSchema.Read(entry) is ClusterChange.PutApp(var app) ? new ClusterChange.PutApp(app with { Spec = _shelf.Same(app.Spec) }) : ClusterSchema.Read(entry);
}
