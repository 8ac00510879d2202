using System.Text.RegularExpressions;

namespace Drover.Agent.Volumes.Zfs;

/// <summary>What the `zfs` of this node knows, read off its own usage.</summary>
/// <param name="LargeBlocks">`send -L`.</param>
/// <param name="Compressed">`send -c`: blocks go as they lie on disk.</param>
/// <param name="ReceiveUnmounted">`receive -u`.</param>
internal sealed partial record ZfsAbilities(bool LargeBlocks, bool Compressed, bool ReceiveUnmounted)
{
    public static readonly ZfsAbilities Least = new(false, false, false);

    /// <summary>Blocks travel as they lie on disk, where both sides know how.</summary>
    public bool SendsBlocks => LargeBlocks && Compressed;

    [GeneratedRegex(@"^\s*(send|receive)\s+\[-([A-Za-z]+)\]", RegexOptions.Multiline)]
    private static partial Regex Usage();

    public static ZfsAbilities Of(string usage)
    {
        string Letters(string verb) => string.Concat(Usage().Matches(usage).Where(m => m.Groups[1].Value == verb).Select(m => m.Groups[2].Value));
        var (send, receive) = (Letters("send"), Letters("receive"));
        return new(send.Contains('L', StringComparison.Ordinal), send.Contains('c', StringComparison.Ordinal), receive.Contains('u', StringComparison.Ordinal));
    }
}
