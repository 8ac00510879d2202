using System.Buffers;

namespace Drover.Agent.Volumes;

/// <summary>
/// The buffers of all streams between drivers and agents. What is given back is used again, all of it: the shared pool keeps few large arrays for each processor and leaves the rest to the collector, which lets
/// several times of what is in use lie in its heap of large objects. Let go when nothing has moved for a while.
/// </summary>
internal sealed class StreamBuffers : ArrayPool<byte>
{
    public const int Largest = 256 * 1024;
    /// <summary>What two transfers at once hold, in whole pieces; more is left to the collector.</summary>
    private const int Kept = 256;
    private ArrayPool<byte> _pool = Empty();
    private long _used, _usedBefore;

    private StreamBuffers() => Memory = new Blocks(this);

    public static new StreamBuffers Shared { get; } = New();

    internal static StreamBuffers New() => new();

    /// <summary>The same buffers, as pipes want them.</summary>
    public MemoryPool<byte> Memory { get; }

    public override byte[] Rent(int minimumLength)
    {
        Interlocked.Increment(ref _used);
        return Volatile.Read(ref _pool).Rent(minimumLength);
    }

    public override void Return(byte[] array, bool clearArray = false)
    {
        Interlocked.Increment(ref _used);
        Volatile.Read(ref _pool).Return(array, clearArray);
    }

    /// <summary>Gives the memory back when something was rented, and nothing was rented or given back since the last call. What is out stays good. True: it did.</summary>
    /// <remarks>The collector is asked to run: nothing else would make it, in an agent that rests. Never within a transfer, where it would stand in a stop.</remarks>
    public bool TrimIfIdle()
    {
        var (used, before) = (Interlocked.Read(ref _used), _usedBefore);
        _usedBefore = used;
        if (used == 0 || used != before) return false;
        Volatile.Write(ref _pool, Empty());
        // The next call finds nothing to do.
        _usedBefore = Interlocked.Add(ref _used, -used);
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        return true;
    }

    private static ArrayPool<byte> Empty() => Create(Largest, Kept);

    private sealed class Blocks(ArrayPool<byte> pool) : MemoryPool<byte>
    {
        public override int MaxBufferSize => Largest;

        public override IMemoryOwner<byte> Rent(int minBufferSize = -1) => new Block(pool, pool.Rent(minBufferSize < 0 ? Largest : minBufferSize));

        protected override void Dispose(bool disposing) { }
    }

    private sealed class Block(ArrayPool<byte> pool, byte[] array) : IMemoryOwner<byte>
    {
        private byte[]? _array = array;

        public Memory<byte> Memory => _array;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _array, null) is { } given) pool.Return(given);
        }
    }
}
