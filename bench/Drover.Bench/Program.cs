using System.Globalization;
using System.Text.Json;
using Drover.Bench;

// ./bench.sh moves [--quick] [--sizes 1,4,10] [--moves 5] [--systems drover,floor,rsync,rsync-twice,btrfs-by-hand,postgres,drain] [--docs FOLDER]
// ./bench.sh scheduler: Scheduler/SchedulerBench.cs
void Say(string text) => Console.WriteLine($"{DateTime.UtcNow:HH:mm:ss}  {text}");
if (args is ["scheduler", ..]) return await Drover.Bench.Scheduler.SchedulerBench.Run(args[1..], Root(), Say);
const string usage = "usage: ./bench.sh moves [--quick] [--sizes 1,4,10] [--moves 5] [--systems drover,floor,rsync,rsync-twice,btrfs-by-hand,postgres,drain] [--docs FOLDER], or " + Drover.Bench.Scheduler.SchedulerBench.Usage;
string[] known = ["drover", "floor", "rsync", "rsync-twice", "btrfs-by-hand", "postgres", "drain"];
double[] sizes = [1, 4, 10];
var (moves, systems, docs) = (5, known, (string?)null);
if (args is not ["moves", ..]) return Refuse(usage);
for (var i = 1; i < args.Length; i++)
{
    string? value = i + 1 < args.Length ? args[i + 1] : null;
    switch (args[i])
    {
        case "--quick": (sizes, moves) = ([0.25], 3); continue;
        case "--sizes" when Numbers(value) is { } given: sizes = given; break;
        case "--moves" when int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var given) && given is >= 1 and <= 100: moves = given; break;
        case "--systems" when value?.Split(',') is { } given && given.All(known.Contains): systems = given; break;
        case "--docs" when Directory.Exists(value): docs = value; break;
        default: return Refuse($"bench: '{args[i]} {value}' is not understood; {usage}");
    }
    i++;
}

var root = Root();
var script = Script = Path.Combine(root, "bench/writer.mjs");
Computer machine;
var runs = new List<Run>();
Drain? drain = null;
await using (var lab = await Lab.Up(Path.Combine(root, "artifacts/bin/drover/drover"), (int)Math.Ceiling(sizes.Max() * 4 + 8)))
{
    machine = await Describe(lab);
    foreach (var size in sizes) await Sized((long)(size * (1L << 30)), lab);
    foreach (var way in new[] { ByHand.BtrfsByHand, ByHand.RsyncTwice, ByHand.Rsync }.Where(w => systems.Contains(w.Name)))
        runs.Add(await new HandMoves(lab, new Writer((long)(sizes.Min() * (1L << 30)), script), way).Measure(moves, Say));
    if (systems.Contains("postgres"))
    {
        var postgres = new Postgres((long)(sizes.Min() * (1L << 30)));
        var floor = await new HandMoves(lab, postgres, ByHand.TheFloor).Measure(moves, Say);
        runs.Add(floor);
        runs.Add(await new DroverMoves(lab, Say).Measure(postgres, moves, floor.OwnStopStartMs!.Median));
    }
    if (systems.Contains("drain")) drain = await new DroverMoves(lab, Say).Drain(8, 128 << 20, script);
}

var report = new Report(machine, DateTimeOffset.UtcNow, "./bench.sh " + string.Join(' ', args), runs, drain, Bars.Judge(runs, drain));
var folder = Path.Combine(root, "artifacts/bench");
Directory.CreateDirectory(folder);
await File.WriteAllTextAsync(Path.Combine(folder, "moves.json"), JsonSerializer.Serialize(report, BenchJson.Default.Report));
await File.WriteAllTextAsync(Path.Combine(folder, "moves.svg"), Drawing.Chart(report));
var table = Drawing.Table(report);
Console.WriteLine();
Console.WriteLine(table);
if (docs is not null)
{
    File.Copy(Path.Combine(folder, "moves.svg"), Path.Combine(docs, "benchmarks-moves.svg"), overwrite: true);
    var page = Path.Combine(docs, "benchmarks.md");
    const string begin = "<!-- figures -->", end = "<!-- end of figures -->";
    var text = await File.ReadAllTextAsync(page);
    await File.WriteAllTextAsync(page, text[..(text.IndexOf(begin, StringComparison.Ordinal) + begin.Length)] + "\n" + table + text[text.IndexOf(end, StringComparison.Ordinal)..]);
}
return runs.Any(r => r.Errors.Count > 0) ? 1 : 0;

// The floor first: it measures the container's own stop and start, which both are then compared with.
async Task Sized(long bytes, Lab lab)
{
    var writer = new Writer(bytes, script);
    var floor = await new HandMoves(lab, writer, ByHand.TheFloor).Measure(moves, Say);
    if (systems.Contains("floor")) runs.Add(floor);
    if (systems.Contains("drover")) runs.Add(await new DroverMoves(lab, Say).Measure(writer, moves, floor.OwnStopStartMs!.Median));
}

static async Task<Computer> Describe(Lab lab) => new(Environment.ProcessorCount, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
    File.ReadLines("/proc/cpuinfo").FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim() ?? "unknown",
    Environment.OSVersion.Version.ToString(), (await lab.Machines[0].Docker("version", "--format", "{{.Server.Version}}")).Trim(), (await Host.Run("btrfs", "--version")).Split('\n')[0].Trim());

static double[]? Numbers(string? text)
{
    var all = text?.Split(',').Select(t => double.TryParse(t, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var size) && size is > 0 and <= 64 ? size : 0).ToArray();
    return all is { Length: > 0 } && all.All(s => s > 0) ? all : null;
}

static string Root()
{
    for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        if (File.Exists(Path.Combine(folder.FullName, "Drover.slnx"))) return folder.FullName;
    throw new BenchFailed("run this from its checkout: ./bench.sh moves");
}

static int Refuse(string text)
{
    Console.Error.WriteLine(text);
    return 2;
}

internal sealed partial class Program
{
    public static string Script { get; private set; } = "";
}
