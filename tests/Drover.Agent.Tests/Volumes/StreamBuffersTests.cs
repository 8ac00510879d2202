using Drover.Agent.Volumes;
using Xunit;

namespace Drover.Agent.Tests.Volumes;

public class StreamBuffersTests
{
    [Fact]
    public void What_is_given_back_is_used_again_also_many_large_ones()
    {
        var buffers = StreamBuffers.New();
        var first = Enumerable.Range(0, 100).Select(_ => buffers.Rent(StreamBuffers.Largest)).ToHashSet();
        foreach (var buffer in first) buffers.Return(buffer);
        Assert.All(Enumerable.Range(0, 100), _ => Assert.Contains(buffers.Rent(StreamBuffers.Largest), first));
    }

    [Fact]
    public void Memory_is_given_back_after_a_while_without_transfers_once()
    {
        var buffers = StreamBuffers.New();
        Assert.False(buffers.TrimIfIdle());
        var kept = buffers.Rent(100);
        Assert.False(buffers.TrimIfIdle());
        buffers.Return(kept);
        Assert.False(buffers.TrimIfIdle());
        Assert.True(buffers.TrimIfIdle());
        Assert.False(buffers.TrimIfIdle());
        Assert.NotSame(kept, buffers.Rent(100));
        // One that is out meanwhile is taken back like any other.
        var late = buffers.Rent(100);
        buffers.TrimIfIdle();
        Assert.True(buffers.TrimIfIdle());
        buffers.Return(late);
    }

    [Fact]
    public void A_pipes_block_goes_back_once()
    {
        var buffers = StreamBuffers.New();
        var block = buffers.Memory.Rent(StreamBuffers.Largest);
        Assert.Equal(StreamBuffers.Largest, block.Memory.Length);
        block.Dispose();
        block.Dispose();
        Assert.NotSame(buffers.Rent(StreamBuffers.Largest), buffers.Rent(StreamBuffers.Largest));
    }
}
