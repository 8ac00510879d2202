namespace Drover.Cli.Lab.Images;

/// <param name="Key">Same key, same images.</param>
/// <param name="File">What `docker load` takes: all images, each shared layer once.</param>
public sealed record ImageArchive(string Key, string File, IReadOnlyList<string> Tags);

/// <summary>The cache of images. Every file is named by a hash of what it is made from, and is written aside and renamed: what is there is whole.</summary>
public sealed class ImageStore(HostPrograms programs, LabProgress progress)
{
    public const string Folder = "/var/cache/drover-lab";
    private static readonly TimeSpan Unused = TimeSpan.FromDays(30);

    public async Task<ImageArchive> Ensure(bool rebuild, CancellationToken cancel)
    {
        var recipes = ImageRecipes.All(AppFiles.Folder());
        var key = ImageRecipes.Hash(string.Join('\n', recipes.Select(r => $"{string.Join(' ', r.Tags)} {r.Top.Key} {DockerArchive.Configuration(r, [])}")));
        var archive = new ImageArchive(key, $"{Folder}/images-{key}.tar", [.. recipes.SelectMany(r => r.Tags)]);
        Directory.CreateDirectory(Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        using var only = await Gate(cancel);
        if (rebuild) foreach (var file in Directory.EnumerateFileSystemEntries(Folder).Where(f => Path.GetFileName(f) != "lock").ToList()) await Remove(file, cancel);
        if (File.Exists(archive.File))
        {
            File.SetLastWriteTimeUtc(archive.File, progress.Time.GetUtcNow().UtcDateTime);
            return archive;
        }
        progress.Say("building the images (the first time only: about two minutes)");
        foreach (var layer in recipes.SelectMany(r => r.Layers).DistinctBy(l => l.Key)) await Layer(layer, cancel);
        await DockerArchive.Write(archive.File, recipes, l => Path.Combine(Folder, l.FileName), cancel);
        progress.Say($"images built: {string.Join(", ", archive.Tags)} ({new FileInfo(archive.File).Length >> 20} MiB)");
        await Prune(cancel);
        return archive;
    }

    private async Task Layer(LayerRecipe layer, CancellationToken cancel)
    {
        var file = Path.Combine(Folder, layer.FileName);
        if (!File.Exists(file)) await new LayerBuilder(programs, Folder).Build(layer, file, cancel);
        File.SetLastWriteTimeUtc(file, progress.Time.GetUtcNow().UtcDateTime);
        progress.Say($"layer {layer.Name}: {new FileInfo(file).Length >> 20} MiB");
    }

    /// <summary>What no build has touched for a month is of an older recipe.</summary>
    private async Task Prune(CancellationToken cancel)
    {
        var oldest = progress.Time.GetUtcNow() - Unused;
        foreach (var file in Directory.EnumerateFiles(Folder, "*.tar").Where(f => File.GetLastWriteTimeUtc(f) < oldest).ToList()) await Remove(file, cancel);
    }

    // A cache: everything in it is made again from its recipe.
    private Task Remove(string path, CancellationToken cancel) => programs.Require("rm", ["-rf", "--one-file-system", path], cancel);

    /// <summary>Waits while another process builds: then most likely nothing is left to do.</summary>
    private async Task<IDisposable> Gate(CancellationToken cancel)
    {
        for (var said = false; ; said = true)
        {
            try { return new FileStream($"{Folder}/lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None); }
            catch (IOException) when (!cancel.IsCancellationRequested)
            {
                if (!said) progress.Say("waiting for another command that builds the images");
                await Task.Delay(TimeSpan.FromMilliseconds(200), progress.Time, cancel);
            }
        }
    }
}
