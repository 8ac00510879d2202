using System.Runtime.InteropServices;
using Drover.Agent.Volumes;
using Drover.Testing;
using Microsoft.Win32.SafeHandles;

namespace Drover.Platform.Tests.Leases;

/// <summary>A FUSE filesystem whose program never answers: whoever looks at it waits until this is disposed. Needs root and /dev/fuse.</summary>
internal sealed partial class HungMount : IDisposable
{
    private const int Detach = 2;
    private readonly TemporaryFolder _folder = new();
    private readonly SafeFileHandle _fuse = File.OpenHandle("/dev/fuse", FileMode.Open, FileAccess.ReadWrite);

    public HungMount()
    {
        At = _folder.File("hung");
        Directory.CreateDirectory(At);
        if (Mount("drover-test", At, "fuse", 0, $"fd={(int)_fuse.DangerousGetHandle()},rootmode=40000,user_id=0,group_id=0") != 0) throw Native.Failed("mount fuse at", At);
    }

    public string At { get; }

    /// <summary>Its program's end: whoever waits gets an error.</summary>
    public void LetGo() => _fuse.Dispose();

    public void Dispose()
    {
        LetGo();
        _ = Unmount2(At, Detach);
        _folder.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "mount", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Mount(string source, string target, string kind, ulong flags, string data);

    [LibraryImport("libc", EntryPoint = "umount2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Unmount2(string target, int flags);
}
