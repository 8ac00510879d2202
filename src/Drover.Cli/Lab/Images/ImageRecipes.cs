using System.Security.Cryptography;
using System.Text;

namespace Drover.Cli.Lab.Images;

/// <summary>A layer: what apt-get installs, what is copied in, and folders it needs.</summary>
/// <param name="Name">Part of the cached file's name.</param>
/// <param name="On">Layer below; null for the base, which debootstrap makes.</param>
public sealed record LayerRecipe(string Name, LayerRecipe? On, IReadOnlyList<string> Packages, IReadOnlyDictionary<string, string> Files, string? AppFolder)
{
    /// <summary>Same key, same contents: it covers the recipe, the app's files and the layers below.</summary>
    public string Key
    {
        get
        {
            var text = new StringBuilder().Append(ImageRecipes.Revision).Append('\n').Append(On?.Key).Append('\n').Append(Name).Append('\n').AppendJoin(' ', Packages).Append('\n');
            foreach (var (path, content) in Files.OrderBy(f => f.Key, StringComparer.Ordinal)) text.Append(path).Append('\0').Append(content).Append('\0');
            foreach (var file in AppFolder is null ? [] : AppFiles.In(AppFolder))
                text.Append(Path.GetRelativePath(AppFolder!, file)).Append('\0').Append(Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file)))).Append('\n');
            return ImageRecipes.Hash(text.ToString());
        }
    }

    public string FileName => $"{Name}-{Key}.tar";
}

/// <summary>What Docker runs from an image: the fields of its configuration.</summary>
public sealed record ImageRecipe(IReadOnlyList<string> Tags, LayerRecipe Top, IReadOnlyList<string> Environment, IReadOnlyList<string> Entrypoint, IReadOnlyList<string> Command,
    string WorkingFolder, IReadOnlyList<string> Ports, IReadOnlyList<string> Volumes, string StopSignal)
{
    public IReadOnlyList<LayerRecipe> Layers
    {
        get
        {
            var layers = new List<LayerRecipe>();
            for (var layer = Top; layer is not null; layer = layer.On) layers.Insert(0, layer);
            return layers;
        }
    }
}

/// <summary>The images of the lab. They come from no registry: Debian's packages and the demo's app.</summary>
public static class ImageRecipes
{
    public const string Suite = "bookworm";
    /// <summary>Raised when the way of building changes what comes out.</summary>
    internal const int Revision = 1;

    private static readonly IReadOnlyDictionary<string, string> NoFiles = new Dictionary<string, string>();

    public static IReadOnlyList<ImageRecipe> All(string appFolder)
    {
        var debian = new LayerRecipe("debian", null, [], new Dictionary<string, string> { ["/etc/dpkg/dpkg.cfg.d/small"] = Excluded }, null);
        var postgres = new LayerRecipe("postgres", debian, ["postgresql-15"], new Dictionary<string, string>
        {
            ["/usr/local/bin/docker-entrypoint.sh"] = PostgresEntrypoint(),
            // The package would make a cluster of its own, which no container uses.
            ["/etc/postgresql-common/createcluster.conf"] = "create_main_cluster = false\n",
        }, null);
        var node = new LayerRecipe("nodejs", debian, ["nodejs"], NoFiles, null);
        var app = new LayerRecipe("todomvc", node, [], NoFiles, appFolder);
        const string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        return [
            new(["postgres:15", "postgres:latest"], postgres, [$"{path}:/usr/lib/postgresql/15/bin", "LANG=C.UTF-8", "PG_MAJOR=15", "PGDATA=/var/lib/postgresql/data"],
                ["docker-entrypoint.sh"], ["postgres"], "", ["5432/tcp"], ["/var/lib/postgresql/data"], "SIGINT"),
            new(["binocarlos/powerstrip-mesosphere-demo:latest"], app, [path, "LANG=C.UTF-8", "NODE_ENV=production"],
                [], ["node", "server/main.js"], "/app", ["80/tcp"], [], "SIGTERM"),
        ];
    }

    internal static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..16];

    /// <summary>Nobody reads manuals in these containers; and without the compiler library PostgreSQL does without compiling queries.</summary>
    private const string Excluded = """
        path-exclude=/usr/share/doc/*
        path-exclude=/usr/share/man/*
        path-exclude=/usr/share/info/*
        path-exclude=/usr/share/locale/*
        path-exclude=/usr/share/lintian/*
        path-exclude=/usr/lib/*/libLLVM*
        path-exclude=/usr/lib/*/libz3*
        path-exclude=/usr/lib/postgresql/*/lib/llvmjit*
        path-exclude=/usr/lib/postgresql/*/lib/bitcode/*

        """;

    private static string PostgresEntrypoint()
    {
        using var stream = typeof(ImageRecipes).Assembly.GetManifestResourceStream("postgres-entrypoint.sh")
            ?? throw new InvalidOperationException("postgres-entrypoint.sh is not in this program");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}

/// <summary>The demo's app: `examples/todomvc`.</summary>
public static class AppFiles
{
    private static readonly string[] Parts = ["package.json", "package-lock.json", "server", "public", "tools"];

    /// <summary>Found beside the programs or above them; `DROVER_TODOMVC` names another.</summary>
    public static string Folder()
    {
        if (Environment.GetEnvironmentVariable("DROVER_TODOMVC") is { Length: > 0 } given) return given;
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "examples/todomvc/package.json"))) return Path.Combine(folder.FullName, "examples/todomvc");
        throw new LabException($"examples/todomvc is not above {AppContext.BaseDirectory}: run the program from its checkout, or name the folder in DROVER_TODOMVC");
    }

    /// <summary>Every file of the app, in an order that does not depend on the machine.</summary>
    public static IReadOnlyList<string> In(string folder) =>
        [.. Parts.Select(p => Path.Combine(folder, p)).SelectMany(p => File.Exists(p) ? [p] : Directory.Exists(p) ? Directory.GetFiles(p, "*", SearchOption.AllDirectories) : [])
            .Where(f => !f.EndsWith(".test.js", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
}
