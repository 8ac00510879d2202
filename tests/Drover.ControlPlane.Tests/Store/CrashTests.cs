#pragma warning disable RS0030 // the test is about a process of its own that is killed
using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using Drover.ControlPlane.Store;
using Drover.ControlPlane.Store.Sqlite;
using Drover.Testing;
using Xunit;

namespace Drover.ControlPlane.Tests.Store;

public sealed class CrashTests
{
    private const string Variable = "DROVER_TEST_STORE_WRITER";

    [Fact]
    public async Task A_writer_killed_at_any_moment_loses_no_commit_that_returned_and_leaves_none_half_done()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("drover.db");
        var acknowledged = 0;
        foreach (var commits in new[] { 1, 40, 7, 113 })
        {
            acknowledged = await RunAndKill(path, acknowledged + commits);
            await using var store = SqliteStore.Open(path, TimeProvider.System);
            var left = (await store.List("left/", default)).Select(e => e.Key[5..]).ToHashSet();
            var right = (await store.List("right/", default)).Select(e => e.Key[6..]).ToHashSet();
            for (var i = 1; i <= acknowledged; i++) Assert.Contains(Name(i), left);
            Assert.Equal(left, right);
        }
    }

    /// <returns>The last number the writer said to be committed before it died.</returns>
    private static async Task<int> RunAndKill(string path, int until)
    {
        using var writer = Process.Start(new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true, Environment = { [Variable] = path } })!;
        using var limit = new CancellationTokenSource(TestCluster.Patience);
        try
        {
            var last = 0;
            while (last < until) last = int.Parse(await writer.StandardOutput.ReadLineAsync(limit.Token) ?? throw new InvalidOperationException("the writer ended by itself"), CultureInfo.InvariantCulture);
            writer.Kill();
            while (await writer.StandardOutput.ReadLineAsync(limit.Token) is { Length: > 0 } line)
                if (int.TryParse(line, CultureInfo.InvariantCulture, out var number) && number == last + 1) last = number;
            return last;
        }
        finally
        {
            if (!writer.HasExited) writer.Kill();
            await writer.WaitForExitAsync(limit.Token);
        }
    }

    private static string Name(int i) => i.ToString("D6", CultureInfo.InvariantCulture);

    // The test program itself is the child: with the variable set it writes until it is killed and never reaches the tests.
#pragma warning disable CA2255
    [ModuleInitializer]
    internal static void WriteWhenAsked()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { } path) Write(path).GetAwaiter().GetResult();
    }
#pragma warning restore CA2255

    private static async Task Write(string path)
    {
        await using var store = SqliteStore.Open(path, TimeProvider.System);
        var have = await store.List("left/", default);
        for (var i = have.Count == 0 ? 1 : int.Parse(have[^1].Key[5..], CultureInfo.InvariantCulture) + 1; ; i++)
        {
            var outcome = await store.Commit([new StateWrite($"left/{Name(i)}", new byte[2000], 0), new StateWrite($"right/{Name(i)}", new byte[2000], 0)], default);
            if (outcome.Conflict) throw new InvalidOperationException($"conflict at {outcome.Key}");
            Console.WriteLine(i);
        }
    }
}
