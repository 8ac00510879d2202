using Drover.Contracts.Agent;

namespace Drover.Agent.Reconcile;

/// <summary>Holds the newest orders and keeps them in the <see cref="Ledger"/>.</summary>
/// <remarks>Until control has spoken in this process (<see cref="Fresh"/>) the orders are a memory: good for watching health, not for starting or stopping anything.</remarks>
public sealed class Orders(Ledger ledger, ILogger<Orders> log)
{
    private readonly Lock _gate = new();

    public NodeDesired Current { get; private set; } = ledger.Read();

    public bool Fresh { get; private set; }

    /// <summary>Called after each change with what was before; never inside a lock.</summary>
    public event Action<NodeDesired, NodeDesired>? Changed;

    /// <summary>The whole truth as control tells it when a stream opens: replaces everything.</summary>
    public void Replace(Desired all)
    {
        NodeDesired before, after;
        lock (_gate)
        {
            (before, after) = (Fresh ? Current : NodeDesired.None, NodeDesired.Of(all));
            if (all.Generation < Current.Generation)
                log.LogWarning("Control tells generation {Generation}, this node knew {Known}: its state was put back; taken, volumes' epochs guard the data", all.Generation, Current.Generation);
            Current = after;
            Fresh = true;
            ledger.Write(after);
        }
        Changed?.Invoke(before, after);
    }

    /// <summary>False: older than what is known, or nothing to change yet; refused, nothing changed.</summary>
    public bool Apply(DesiredChange change)
    {
        NodeDesired before, after;
        lock (_gate)
        {
            before = Current;
            if (!Fresh || change.Generation <= before.Generation)
            {
                log.LogWarning("Change of generation {Generation} refused: this node knows {Known}", change.Generation, before.Generation);
                return false;
            }
            after = Current = before.With(change);
            ledger.Write(after);
        }
        Changed?.Invoke(before, after);
        return true;
    }
}

/// <summary>What this node was last told, in a file of the agent's state folder: read when the agent starts again.</summary>
public sealed class Ledger(string folder)
{
    private string PathOf => Path.Combine(folder, "desired.pb");

    public NodeDesired Read()
    {
        if (!File.Exists(PathOf)) return NodeDesired.None;
        try
        {
            return NodeDesired.Of(Desired.Parser.ParseFrom(File.ReadAllBytes(PathOf)));
        }
        // Only a memory: control tells everything again. A damaged one must not keep the agent down.
        catch (Google.Protobuf.InvalidProtocolBufferException) { return NodeDesired.None; }
    }

    public void Write(NodeDesired desired)
    {
        Directory.CreateDirectory(folder);
        var next = PathOf + ".next";
        using (var file = File.Create(next))
        using (var coded = new Google.Protobuf.CodedOutputStream(file))
            desired.ToMessage().WriteTo(coded);
        // The old file stays whole until the new one is.
        File.Move(next, PathOf, overwrite: true);
    }
}
