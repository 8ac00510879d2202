using System.Globalization;
using System.Reflection;

namespace Drover.Contracts.Metrics;

/// <summary>What the process itself uses. Names without `drover_` are those that Prometheus's own clients give to the same things.</summary>
public static class ProcessMeters
{
    public static void AddProcess(this MetricBook book, Assembly program)
    {
        var slice = book.Slice("Drover.Process");
        var version = program.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";
        slice.Gauge("drover_build_info", "1; the label says which version runs.", () => [MetricSlice.Of(1, "version", version)], "version");
        slice.Total("process_cpu_seconds_total", "Processor time used, user and system.", () => Environment.CpuUsage.TotalTime.TotalSeconds);
        slice.Gauge("process_resident_memory_bytes", "Memory that is in RAM.", Resident);
        slice.Gauge("process_start_time_seconds", "Moment of the start, seconds since 1970.", () => book.StartedAt.ToUnixTimeMilliseconds() / 1000.0);
        slice.Gauge("process_open_fds", "Files, sockets and pipes that are open.", OpenFiles);
        slice.Total("dotnet_collections_total", "Garbage collections by generation.", () => Enumerable.Range(0, GC.MaxGeneration + 1)
            .Select(g => MetricSlice.Of(GC.CollectionCount(g), "generation", g.ToString(CultureInfo.InvariantCulture))), "generation");
        slice.Total("dotnet_collection_pause_seconds_total", "Time that all threads stood still for the garbage collector.", () => GC.GetTotalPauseDuration().TotalSeconds);
        slice.Gauge("dotnet_heap_bytes", "Managed memory in use, as the garbage collector counts it.", () => GC.GetTotalMemory(forceFullCollection: false));
        slice.Total("dotnet_allocated_bytes_total", "Managed memory allocated since the start.", () => GC.GetTotalAllocatedBytes());
        slice.Gauge("dotnet_threadpool_threads", "Threads of the pool.", () => ThreadPool.ThreadCount);
        slice.Gauge("dotnet_threadpool_queue_length", "Work that waits for a thread of the pool.", () => ThreadPool.PendingWorkItemCount);
    }

    private static double Resident()
    {
        var pages = Read("/proc/self/statm").Split(' ');
        return pages.Length > 1 && long.TryParse(pages[1], NumberStyles.None, CultureInfo.InvariantCulture, out var resident) ? resident * Environment.SystemPageSize : 0;
    }

    private static double OpenFiles()
    {
        try { return Directory.EnumerateFileSystemEntries("/proc/self/fd").Count(); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return 0; }
    }

    private static string Read(string file)
    {
        try { return File.ReadAllText(file); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return ""; }
    }
}
