using System.Buffers;

namespace Drover.Agent.Volumes.Btrfs;

/// <summary>Commands of a short stream, each in one piece: where it lies in one already, there. The others are copied into buffers of streams, which go back when it is disposed.</summary>
internal sealed class HeldCommands : IDisposable
{
    private readonly List<byte[]> _blocks = [];
    private int _used;

    /// <summary>In one piece, good for as long as the sequence is and this is not disposed. Null: longer than any that a kernel makes.</summary>
    public ReadOnlyMemory<byte>? Keep(ReadOnlySequence<byte> command)
    {
        if (command.IsSingleSegment) return command.First;
        if (command.Length > StreamBuffers.Largest) return null;
        var length = (int)command.Length;
        if (_blocks.Count == 0 || _blocks[^1].Length - _used < length)
        {
            _blocks.Add(StreamBuffers.Shared.Rent(StreamBuffers.Largest));
            _used = 0;
        }
        var kept = _blocks[^1].AsMemory(_used, length);
        command.CopyTo(kept.Span);
        _used += length;
        return kept;
    }

    public void Dispose()
    {
        foreach (var block in _blocks) StreamBuffers.Shared.Return(block);
        _blocks.Clear();
    }
}
