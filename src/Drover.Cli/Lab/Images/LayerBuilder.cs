using System.Runtime.InteropServices;
using System.Text;

namespace Drover.Cli.Lab.Images;

/// <summary>
/// Builds layers: the base by debootstrap; each other one as what changes when packages and files are put on the layers below,
/// which an overlay mount keeps apart by itself.
/// </summary>
public sealed partial class LayerBuilder(HostPrograms programs, string cache)
{
    // Neither belongs into an image: what the build left, and what is made at run time.
    private static readonly string[] LeftOut = ["./tmp/*", "./usr/share/postgresql/*/man/*", "./run/*", "./var/cache/*", "./var/log/*", "./var/lib/apt/lists/*", "./dev/*", "./proc/*", "./sys/*", "./etc/resolv.conf", "./usr/sbin/policy-rc.d",
        "./usr/share/doc/*", "./usr/share/man/*", "./usr/share/info/*", "./usr/share/locale/*", "./var/lib/dpkg/*-old"];

    private static readonly string[] AptSources = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];

    private string Work => Path.Combine(cache, "build");

    public async Task Build(LayerRecipe layer, string file, CancellationToken cancel)
    {
        await Clear(cancel);
        try
        {
            Directory.CreateDirectory(Work);
            var changed = layer.On is null ? await Base(layer, cancel) : await Changes(layer, cancel);
            await programs.Require("tar", ["--numeric-owner", "--sort=name", .. LeftOut.Select(p => $"--exclude={p}"), "-C", changed, "-cf", file + ".new", "."], cancel);
            File.Move(file + ".new", file, overwrite: true);
        }
        finally { await Clear(CancellationToken.None); }
    }

    private async Task<string> Base(LayerRecipe layer, CancellationToken cancel)
    {
        var root = Path.Combine(Work, "root");
        await programs.Require("debootstrap", ["--variant=minbase", ImageRecipes.Suite, root, Mirror()], cancel);
        PutFiles(root, layer.Files);
        return root;
    }

    private async Task<string> Changes(LayerRecipe layer, CancellationToken cancel)
    {
        List<string> below = [];
        for (var under = layer.On; under is not null; under = under.On)
        {
            var folder = Path.Combine(Work, under.Name);
            Directory.CreateDirectory(folder);
            await programs.Require("tar", ["-xf", Path.Combine(cache, under.FileName), "-C", folder, "--numeric-owner"], cancel);
            below.Add(folder);
        }
        string upper = Path.Combine(Work, "upper"), root = Path.Combine(Work, "merged");
        foreach (var folder in new[] { upper, root, Path.Combine(Work, "overlay") }) Directory.CreateDirectory(folder);
        await programs.Require("mount", ["-n", "-t", "overlay", "-o", $"lowerdir={string.Join(':', below)},upperdir={upper},workdir={Path.Combine(Work, "overlay")}", "overlay", root], cancel);
        PutFiles(root, layer.Files);
        if (layer.Packages.Count > 0) await Install(root, layer.Packages, cancel);
        if (layer.AppFolder is not null) await CopyApp(layer.AppFolder, root, cancel);
        await programs.Require("umount", ["-n", root], cancel);
        await MarkDeletions(upper, cancel);
        return upper;
    }

    private async Task Install(string root, IReadOnlyList<string> packages, CancellationToken cancel)
    {
        if (File.Exists("/etc/resolv.conf")) File.Copy("/etc/resolv.conf", Path.Combine(root, "etc/resolv.conf"), overwrite: true);
        PutFiles(root, new Dictionary<string, string> { ["/usr/sbin/policy-rc.d"] = "#!/bin/sh\nexit 101\n" });
        foreach (var folder in new[] { "tmp/lists", "tmp/archives/partial", "var/log/apt", "var/cache/apt", "var/cache/debconf" }) Directory.CreateDirectory(Path.Combine(root, folder));
        // The packages' scripts write to the devices that every system has.
        foreach (var (device, minor) in new[] { ("null", "3"), ("zero", "5"), ("random", "8"), ("urandom", "9") })
            if (!File.Exists(Path.Combine(root, "dev", device))) await programs.Require("mknod", ["-m", "666", Path.Combine(root, "dev", device), "c", "1", minor], cancel);
        string[] options = ["-q", "-y", "-o", "Dir::State::lists=/tmp/lists", "-o", "Dir::Cache::archives=/tmp/archives", "-o", "APT::Sandbox::User=root"];
        var environment = new Dictionary<string, string> { ["DEBIAN_FRONTEND"] = "noninteractive", ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin" };
        await programs.Require("chroot", [root, "apt-get", .. options, "update"], cancel, environment: environment);
        await programs.Require("chroot", [root, "apt-get", .. options, "install", "--no-install-recommends", .. packages], cancel, environment: environment);
    }

    /// <summary>The app and the packages its lock file names, fetched by this machine's npm: the image needs node alone.</summary>
    private async Task CopyApp(string folder, string root, CancellationToken cancel)
    {
        var app = Path.Combine(root, "app");
        foreach (var file in AppFiles.In(folder))
        {
            var to = Path.Combine(app, Path.GetRelativePath(folder, file));
            Directory.CreateDirectory(Path.GetDirectoryName(to)!);
            File.Copy(file, to);
        }
        var how = File.Exists(Path.Combine(app, "package-lock.json")) ? "ci" : "install";
        await programs.Require("npm", [how, "--omit=dev", "--no-audit", "--no-fund", "--ignore-scripts", "--cache", Path.Combine(Work, "npm"), "--prefix", app], cancel);
    }

    private static void PutFiles(string root, IReadOnlyDictionary<string, string> files)
    {
        foreach (var (path, content) in files)
        {
            var to = root + path;
            Directory.CreateDirectory(Path.GetDirectoryName(to)!);
            File.WriteAllText(to, content, new UTF8Encoding(false));
            if (content.StartsWith("#!", StringComparison.Ordinal))
                File.SetUnixFileMode(to, (UnixFileMode)0b111_101_101);
        }
    }

    /// <summary>
    /// An overlay shows a deleted file as a device 0:0 and a folder that was deleted and made anew by an attribute; an image's layer
    /// shows them as empty files `.wh.NAME` and `.wh..wh..opq`.
    /// </summary>
    private async Task MarkDeletions(string upper, CancellationToken cancel)
    {
        var deleted = await programs.Require("find", [upper, "-type", "c", "-printf", "%p\\n"], cancel);
        foreach (var path in deleted.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var folder = Path.GetDirectoryName(path)!;
            if (folder == Path.Combine(upper, "dev")) continue; // real devices, made for the packages' scripts and left out of the layer
            File.Delete(path);
            File.WriteAllBytes(Path.Combine(folder, ".wh." + Path.GetFileName(path)), []);
        }
        foreach (var folder in Directory.EnumerateDirectories(upper, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint }).ToList())
            if (IsMadeAnew(folder)) File.WriteAllBytes(Path.Combine(folder, ".wh..wh..opq"), []);
    }

    /// <summary>The mirror this machine itself installs from.</summary>
    private static string Mirror()
    {
        var sources = AptSources.Where(File.Exists).SelectMany(File.ReadLines);
        var words = sources.Where(l => l.StartsWith("URIs:", StringComparison.Ordinal) || l.StartsWith("deb ", StringComparison.Ordinal)).SelectMany(l => l.Split(' '));
        return words.FirstOrDefault(w => w.StartsWith("http", StringComparison.Ordinal) && w.TrimEnd('/').EndsWith("/debian", StringComparison.Ordinal)) 
            ?? throw new LabException($"no Debian mirror is named in {string.Join(" or ", AptSources)}: the lab's images are built from the one this machine installs from");
    }

    private static unsafe bool IsMadeAnew(string folder)
    {
        byte value;
        return GetAttribute(folder, "trusted.overlay.opaque", &value, 1) == 1 && value == (byte)'y';
    }

    [LibraryImport("libc", EntryPoint = "lgetxattr", StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial nint GetAttribute(string path, string name, byte* value, nuint size);

    private async Task Clear(CancellationToken cancel)
    {
        foreach (var mount in MountTable.Below(Work).Reverse()) await programs.Require("umount", ["-n", mount.Path], cancel);
        // Safe: only ever holds what a build made, and nothing is mounted below any more.
        await programs.Require("rm", ["-rf", "--one-file-system", Work], cancel);
    }
}
