using System.Runtime.InteropServices;

namespace Drover.Agent.Host;

/// <summary>Signals to processes of this machine, by number.</summary>
internal static partial class Signals
{
    private const int Kill = 9;
    private const int NoSuchProcess = 3;

    /// <summary>The process never runs another instruction of its own, also when it stands frozen now. One that is gone already is none to end.</summary>
    public static void End(int process)
    {
        if (Send(process, Kill) != 0 && Marshal.GetLastPInvokeError() is var error and not NoSuchProcess)
            throw new IOException($"process {process} cannot be killed (error {error}): the agent must run as root");
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Send(int process, int signal);
}
