using System.Text;
using Drover.Agent.Volumes.Trees;
using Drover.Testing;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace Drover.Agent.Tests.Volumes;

/// <summary>Trees deeper than a path can name. All of it runs on a small stack: what goes deeper with the tree ends this process.</summary>
public sealed class DeepTreeTests
{
    private const int SmallStack = 192 * 1024;
    private static readonly byte[] Folder = Name("d"), File = Name("file"), Other = Name("other"), Tree = Name("tree");

    private static byte[] Name(string name) => RawName.Of(Encoding.UTF8.GetBytes(name));

    private static Task OnSmallStack(Action<SafeFileHandle, string> work)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() =>
        {
            try
            {
                using var folder = new TemporaryFolder();
                using var root = TreeCalls.OpenRoot(folder.Path);
                work(root, folder.Path);
                done.SetResult();
            }
            catch (Exception e) { done.SetException(e); }
        }, SmallStack).Start();
        return done.Task;
    }

    /// <summary>At its end a file with two names, the other of them at its beginning.</summary>
    private static void Make(SafeFileHandle root, int depth)
    {
        TreeCalls.MakeFolder(root, Tree);
        using var top = TreeCalls.OpenFolder(root, Tree)!;
        using var walk = new FolderWalk(top);
        for (var i = 0; i < depth; i++)
        {
            TreeCalls.MakeFolder(walk.Here, Folder);
            walk.Enter(Folder);
        }
        using (var file = TreeCalls.OpenToWrite(walk.Here, File, isNew: true)) RandomAccess.Write(file, "deep"u8, 0);
        Assert.Equal(0, TreeCalls.HardLink(walk.Here, File, top, Other));
    }

    private static TreeEntry? Bottom(SafeFileHandle top, int depth)
    {
        using var walk = new FolderWalk(top);
        for (var i = 0; i < depth; i++) if (!walk.Enter(Folder)) return null;
        var found = TreeCalls.Find(walk.Here, File);
        for (var i = 0; i < depth; i++) walk.Leave();
        return found;
    }

    [Theory]
    [InlineData(1), InlineData(31), InlineData(32), InlineData(33), InlineData(64), InlineData(4000), InlineData(8000)]
    public Task However_deep_a_tree_is_it_is_removed_and_nothing_beside_it(int depth) => OnSmallStack((root, _) =>
    {
        Make(root, depth);
        using (TreeCalls.OpenToWrite(root, File, isNew: true)) { /* beside the tree */ }
        TreeCalls.Remove(root, Tree);
        Assert.Equal(["file"], TreeCalls.Names(root).Select(n => RawName.Text(RawName.Bytes(n))));
    });

    [Theory]
    [InlineData(1, true), InlineData(33, true), InlineData(4000, true), InlineData(1, false), InlineData(33, false), InlineData(4000, false)]
    public Task However_deep_a_tree_is_it_is_copied_with_further_names(int depth, bool linked) => OnSmallStack((root, path) =>
    {
        Make(root, depth);
        TreeCalls.MakeFolder(root, Name("copy"));
        var (from, to) = (Path.Combine(path, "tree"), Path.Combine(path, "copy"));
        if (linked) TreeCopy.Link(from, to, default);
        else TreeCopy.Deep(from, to, default);
        using var copy = TreeCalls.OpenRoot(to);
        using var source = TreeCalls.OpenRoot(from);
        var (copied, original, other) = (Bottom(copy, depth)!.Value, Bottom(source, depth)!.Value, TreeCalls.Find(copy, Other)!.Value);
        // The two names are of one file in the copy too; a linked copy shares it with the source, a deep one does not.
        Assert.Equal((4ul, other.Inode, linked ? 4u : 2u, linked), ((ulong)copied.Size, copied.Inode, copied.Links, copied.Inode == original.Inode));
        TreeCalls.Remove(root, Name("copy"));
        TreeCalls.Remove(root, Tree);
    });

    [Fact]
    public Task A_folder_that_was_moved_meanwhile_is_noticed_on_the_way_up() => OnSmallStack((root, path) =>
    {
        Make(root, 40);
        using var top = TreeCalls.OpenFolder(root, Tree)!;
        using var walk = new FolderWalk(top);
        for (var i = 0; i < 40; i++) walk.Enter(Folder);
        // The third folder is put where nobody looks for it: what is above its contents is another now.
        Directory.Move(Path.Combine(path, "tree/d/d/d"), Path.Combine(path, "elsewhere"));
        Assert.Contains("was moved while its tree was walked", Assert.Throws<IOException>(() => { for (var i = 0; i < 40; i++) walk.Leave(); }).Message, StringComparison.Ordinal);
    });
}
