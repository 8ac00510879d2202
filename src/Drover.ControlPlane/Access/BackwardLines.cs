using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Drover.ControlPlane.Access;

/// <summary>A file of lines, read from its end: what is long ago is not read at all.</summary>
internal static class BackwardLines
{
    private const int Block = 64 * 1024;
    private const byte NewLine = (byte)'\n';

    /// <summary>Where the last whole line ends.</summary>
    public static long WholeEnd(SafeFileHandle file)
    {
        for (var end = RandomAccess.GetLength(file); end > 0;)
        {
            var bytes = Read(file, Math.Max(0, end - Block), end);
            var at = Array.LastIndexOf(bytes, NewLine);
            end -= bytes.Length;
            if (at >= 0) return end + at + 1;
        }
        return 0;
    }

    /// <summary>The newest first; empty ones are left out.</summary>
    public static IEnumerable<string> Of(SafeFileHandle file)
    {
        // What was read of a line that begins further up.
        byte[] rest = [];
        for (var end = RandomAccess.GetLength(file); end > 0;)
        {
            var bytes = Read(file, Math.Max(0, end - Block), end);
            end -= bytes.Length;
            bytes = [.. bytes, .. rest];
            var upTo = bytes.Length;
            for (var at = Array.LastIndexOf(bytes, NewLine); at >= 0; at = at == 0 ? -1 : Array.LastIndexOf(bytes, NewLine, at - 1))
            {
                if (upTo > at + 1) yield return Encoding.UTF8.GetString(bytes, at + 1, upTo - at - 1);
                upTo = at;
            }
            rest = bytes[..upTo];
        }
        if (rest.Length > 0) yield return Encoding.UTF8.GetString(rest);
    }

    private static byte[] Read(SafeFileHandle file, long from, long to)
    {
        var bytes = new byte[to - from];
        for (var got = 0; got < bytes.Length;)
            got += RandomAccess.Read(file, bytes.AsSpan(got), from + got) is > 0 and var read ? read : throw new EndOfStreamException("the file was cut while it was read");
        return bytes;
    }
}
