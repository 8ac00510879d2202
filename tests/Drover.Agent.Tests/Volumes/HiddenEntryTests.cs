using System.IO.Pipelines;
using System.Text;
using Drover.Agent.Volumes.Trees;
using Drover.Testing;
using Xunit;

namespace Drover.Agent.Tests.Volumes;

/// <summary>What a filesystem shows at its root of itself is no part of the tree.</summary>
public sealed class HiddenEntryTests
{
    private static async Task<string> Sent(string root, string? basis, string? hidden)
    {
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 0));
        var sender = new TreeSender(pipe.Writer, static (_, _) => false, isStill: true, hidden);
        await sender.Send(new(root, Guid.Empty), basis is null ? null : new(basis, Guid.Empty), default);
        await pipe.Writer.CompleteAsync();
        var all = new MemoryStream();
        await pipe.Reader.CopyToAsync(all);
        return Encoding.Latin1.GetString(all.ToArray());
    }

    [Fact]
    public async Task It_is_left_out_at_the_root_alone()
    {
        using var folder = new TemporaryFolder();
        foreach (var inside in new[] { "now/.zfs/snapshot", "now/app/.zfs", "before/.zfs/shares" }) Directory.CreateDirectory(folder.File(inside));
        var (now, before) = (folder.File("now"), folder.File("before"));
        var sent = await Sent(now, null, ".zfs");
        Assert.Contains("app/.zfs", sent, StringComparison.Ordinal);
        Assert.DoesNotContain("snapshot", sent, StringComparison.Ordinal);
        // Nor is it removed where the base shows it and the tree does not, nor the other way round.
        Assert.DoesNotContain("shares", await Sent(now, before, ".zfs"), StringComparison.Ordinal);
        Assert.DoesNotContain(".zfs", (await Sent(before, now, ".zfs")).Replace("app/.zfs", "", StringComparison.Ordinal), StringComparison.Ordinal);
        // Where it is an app's own, it is a folder like any other.
        Assert.Contains("snapshot", await Sent(now, null, null), StringComparison.Ordinal);
    }
}
