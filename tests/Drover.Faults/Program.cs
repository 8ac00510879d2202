using System.Globalization;
using Drover.Cli.Lab;
using Drover.Faults.History;
using Drover.Faults.Lab;
using Drover.Faults.Soak;
using Drover.Faults.Table;

namespace Drover.Faults;

public static class Program
{
    private const string Usage = """
        usage: faults [--short] [--only STEP/FAULT] [--drivers DRIVER[,DRIVER]] [--broken epoch|verify|retire] [--seed N] [--list]
               soak [--minutes 30] [--seed N]
        """;

    public static async Task<int> Main(string[] args)
    {
        using var stop = new CancellationTokenSource();
        Console.CancelKeyPress += (_, e) => { e.Cancel = true; stop.Cancel(); };
        try
        {
            return args switch
            {
                ["faults", .. var rest] => await Faults(new Words(rest), stop.Token),
                ["soak", .. var rest] => await Soak(new Words(rest), stop.Token),
                _ => Wrong("say faults or soak"),
            };
        }
        catch (FormatException e) { return Wrong(e.Message); }
        catch (Exception e) when (e is LabException or TimeoutException)
        {
            await Console.Error.WriteLineAsync($"faults: {e.Message}");
            return 1;
        }
    }

    private static int Wrong(string why)
    {
        Console.Error.WriteLine($"faults: {why}\n{Usage}");
        return 2;
    }

    private static async Task<int> Faults(Words words, CancellationToken cancel)
    {
        var broken = words.Value("--broken") is { } name ? Broken.All.FirstOrDefault(b => b.Name == name) ?? throw new FormatException($"--broken {name}: say epoch, verify or retire") : null;
        var drivers = words.Value("--drivers") ?? words.Value("--volume-driver");
        var first = drivers ?? VolumeKind.All[0].Name;
        IReadOnlyList<Bed> beds = words.Flag("--short") ? [new(first, Combo.Short())] : broken is not null ? [new(first, broken.Combos)] : drivers is not null ? [new(drivers, VolumeKind.All.FirstOrDefault(k => drivers.Contains(k.Name, StringComparison.Ordinal) && !k.CanBeFilled) is { } kind ? Combo.DataOn(kind) : Combo.Data())] : Bed.Usual();
        if (words.Value("--only") is { } only) beds = [new(first, Only(only))];
        VolumeKind.ForNodes(first, Nodes);
        var seed = words.Number("--seed") ?? 1;
        var list = words.Flag("--list");
        words.End();
        if (list)
        {
            foreach (var bed in beds)
                foreach (var combo in bed.Combos) Console.WriteLine($"{bed.Drivers,-9} {combo.Name}");
            return 0;
        }
        var place = Place.Make("faults");
#pragma warning disable RS0030 // seeded: the same bytes each time
        var table = new FaultTable(on => new FaultLab("faults", "172.20.40.0/24", Nodes, place.Folder, place.Log, TimeProvider.System, on), Console.Out, place.Folder, new Random(seed));
#pragma warning restore RS0030
        var tally = await table.Run(beds, broken, cancel);
        Console.WriteLine(table.Undone.Line());
        return Close(tally);
    }

    private const int Nodes = 2;

    private static IReadOnlyList<Combo> Only(string only)
    {
        IReadOnlyList<Combo> found = [.. Combo.Whole().Where(c => c.Name.StartsWith(only, StringComparison.OrdinalIgnoreCase) || c.Name.EndsWith("/" + only, StringComparison.OrdinalIgnoreCase)
            || (c.Stays && only.Equals("Stays", StringComparison.OrdinalIgnoreCase)))];
        return found.Count > 0 ? found : throw new FormatException($"--only {only}: no such step or fault; --list shows them");
    }

    private static async Task<int> Soak(Words words, CancellationToken cancel)
    {
        var (minutes, seed) = (words.Number("--minutes") ?? 30, words.Number("--seed") ?? 1);
        words.End();
        var place = Place.Make("soak");
        Console.WriteLine($"soak: {minutes} minutes, seed {seed}: ./test.sh soak --minutes {minutes} --seed {seed} does the same again");
        await using var lab = new FaultLab("faultsoak", "172.20.41.0/24", 4, place.Folder, place.Log, TimeProvider.System);
#pragma warning disable RS0030 // seeded: the same bytes each time
        var run = new SoakRun(lab, new SoakPlan(seed, 4), new Random(seed), Console.Out);
#pragma warning restore RS0030
        var (tally, grown) = await run.Run(TimeSpan.FromMinutes(minutes), cancel);
        foreach (var line in grown) Console.WriteLine($"growth: {line}");
        if (grown.Count == 0) Console.WriteLine("growth: none of memory, handles, snapshots, files");
        var code = Close(tally);
        return grown.Count == 0 ? code : 1;
    }

    private static int Close(Tally tally)
    {
        foreach (var line in tally.Lines()) Console.WriteLine(line);
        return tally.Good ? 0 : 1;
    }
}

/// <summary>Where a run keeps its files, and the programs it uses.</summary>
internal sealed record Place(string Folder, TextWriter Log)
{
    public static Place Make(string run)
    {
        var root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "Drover.slnx"))) root = Path.GetDirectoryName(root) ?? throw new LabException("Drover.slnx is not above this program: run it from its checkout");
        var programs = Path.Combine(root, "artifacts/bin-faults");
        if (!File.Exists(Path.Combine(programs, "drover-agent/drover-agent"))) throw new LabException($"{programs} has no fault builds: run eng/publish-faults.sh");
        Environment.SetEnvironmentVariable("DROVER_PROGRAMS", programs);
        var folder = Path.Combine(root, "artifacts", run);
        Directory.CreateDirectory(folder);
        var log = TextWriter.Synchronized(new StreamWriter(Path.Combine(folder, "lab.log")) { AutoFlush = true });
        return new(folder, log);
    }
}

/// <summary>A command line, word by word.</summary>
internal sealed class Words(IEnumerable<string> words)
{
    private readonly List<string> _left = [.. words];

    public bool Flag(string name) => _left.Remove(name);

    public string? Value(string name)
    {
        var at = _left.IndexOf(name);
        if (at < 0) return null;
        if (at + 1 >= _left.Count) throw new FormatException($"{name} needs a value");
        var value = _left[at + 1];
        _left.RemoveRange(at, 2);
        return value;
    }

    public int? Number(string name) => Value(name) is not { } text ? null
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : throw new FormatException($"{name} {text}: a number is needed");

    public void End()
    {
        if (_left.Count > 0) throw new FormatException($"unknown: {string.Join(' ', _left)}");
    }
}
