using System.Diagnostics;

namespace Drover.Contracts.Hosting;

/// <summary>
/// Named places of a process where the fault tests hold it, end it, or make it fail. Only builds with <c>-p:Failpoints=true</c> have them: elsewhere no call of
/// <see cref="Reach"/> is compiled, and <see cref="Bends"/> is constantly false.
/// </summary>
/// <remarks>A file <c>WHO.POINT</c> in the folder that `DROVER_FAILPOINTS` names arms a point. Its content says what happens there: `pause` holds the thread until the file
/// <c>WHO.POINT.reached</c>, which appears then, is removed, and is good once; `crash` ends the process as kill -9 would; `fail WORDS` throws, each time, until the file is removed.</remarks>
public static class Failpoints
{
    /// <summary>Names this process, and makes room for threads that are held.</summary>
    [Conditional("FAILPOINTS")]
    public static void Begin(string who)
    {
        if (Environment.GetEnvironmentVariable("DROVER_FAILPOINTS") is not { Length: > 0 } folder) return;
        s_prefix = Path.Combine(folder, who + ".");
        ThreadPool.SetMinThreads(16, 16);
    }

    /// <exception cref="IOException">The point is armed with `fail`.</exception>
    [Conditional("FAILPOINTS")]
    public static void Reach(string point)
    {
        if (s_prefix is not { } prefix || !File.Exists(prefix + point)) return;
        var (armed, reached) = (prefix + point, prefix + point + ".reached");
        string what;
        try { what = File.ReadAllText(armed).Trim(); }
        catch (IOException) { return; /* disarmed, or taken by another thread, in this moment */ }
        if (what.StartsWith("fail", StringComparison.Ordinal))
        {
            File.WriteAllText(reached, "");
            throw new IOException(what.Length > 5 ? what[5..] : $"failpoint {point}");
        }
        try { File.Move(armed, reached, overwrite: true); }
        catch (IOException) { return; /* another thread has taken it */ }
#pragma warning disable RS0030 // a held thread is what a failpoint is for; and no product has this code
        if (what == "crash") Process.GetCurrentProcess().Kill();
        while (File.Exists(reached)) Thread.Sleep(2);
#pragma warning restore RS0030
    }

#if FAILPOINTS
    /// <summary>True while this deviation from the right behaviour is switched on.</summary>
    public static bool Bends(string what)
    {
        if (s_prefix is not { } prefix || !File.Exists(prefix + what)) return false;
        File.WriteAllText(prefix + what + ".reached", "");
        return true;
    }

    /// <summary>As <see cref="Bends"/>, but only the first time.</summary>
    public static bool BendsOnce(string what)
    {
        if (!Bends(what)) return false;
        File.Delete(s_prefix + what);
        return true;
    }
#else
    /// <summary>Whether a deviation from the right behaviour is switched on: never in the product.</summary>
    public static bool Bends(string what) => false;

    /// <summary>As <see cref="Bends"/>: never in the product.</summary>
    public static bool BendsOnce(string what) => false;
#endif

    private static string? s_prefix;
}
