using System.Formats.Tar;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Drover.Cli.Lab.Images;

/// <summary>Writes what `docker load` reads (Docker image specification v1.2): layers, a configuration for each image, `manifest.json`.</summary>
public static class DockerArchive
{
    public static async Task Write(string file, IReadOnlyList<ImageRecipe> images, Func<LayerRecipe, string> layerFile, CancellationToken cancel)
    {
        var digests = new Dictionary<string, string>();
        await using (var stream = File.Create(file + ".new"))
        await using (var tar = new TarWriter(stream, TarEntryFormat.Pax))
        {
            foreach (var layer in images.SelectMany(i => i.Layers).DistinctBy(l => l.Key))
            {
                await using var content = File.OpenRead(layerFile(layer));
                var digest = Convert.ToHexStringLower(await SHA256.HashDataAsync(content, cancel));
                digests[layer.Key] = digest;
                content.Position = 0;
                await tar.WriteEntryAsync(new PaxTarEntry(TarEntryType.RegularFile, $"{digest}.tar") { DataStream = content }, cancel);
            }
            var configurations = images.Select(i => Configuration(i, [.. i.Layers.Select(l => digests[l.Key])])).ToList();
            foreach (var configuration in configurations) await Put(tar, $"{Digest(configuration)}.json", configuration, cancel);
            await Put(tar, "manifest.json", Manifest(images, configurations, digests), cancel);
        }
        File.Move(file + ".new", file, overwrite: true);
    }

    /// <summary>The image's configuration. Its creation time is fixed: same contents, same image.</summary>
    public static string Configuration(ImageRecipe image, IReadOnlyList<string> layers) => Json(json =>
    {
        json.WriteStartObject();
        json.WriteString("architecture", System.Runtime.InteropServices.RuntimeInformation.OSArchitecture == System.Runtime.InteropServices.Architecture.Arm64 ? "arm64" : "amd64");
        json.WriteString("os", "linux");
        json.WriteString("created", "2015-06-01T00:00:00Z");
        json.WriteStartObject("config");
        Strings(json, "Env", image.Environment);
        if (image.Entrypoint.Count > 0) Strings(json, "Entrypoint", image.Entrypoint);
        Strings(json, "Cmd", image.Command);
        json.WriteString("WorkingDir", image.WorkingFolder);
        Set(json, "ExposedPorts", image.Ports);
        if (image.Volumes.Count > 0) Set(json, "Volumes", image.Volumes);
        json.WriteString("StopSignal", image.StopSignal);
        json.WriteEndObject();
        json.WriteStartObject("rootfs");
        json.WriteString("type", "layers");
        Strings(json, "diff_ids", [.. layers.Select(l => $"sha256:{l}")]);
        json.WriteEndObject();
        json.WriteStartArray("history");
        foreach (var layer in image.Layers)
        {
            json.WriteStartObject();
            json.WriteString("created", "2015-06-01T00:00:00Z");
            json.WriteString("created_by", $"drover lab: {layer.Name}");
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    });

    private static string Manifest(IReadOnlyList<ImageRecipe> images, List<string> configurations, Dictionary<string, string> digests) => Json(json =>
    {
        json.WriteStartArray();
        foreach (var (image, configuration) in images.Zip(configurations))
        {
            json.WriteStartObject();
            json.WriteString("Config", $"{Digest(configuration)}.json");
            Strings(json, "RepoTags", image.Tags);
            Strings(json, "Layers", [.. image.Layers.Select(l => $"{digests[l.Key]}.tar")]);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    });

    private static Task Put(TarWriter tar, string name, string text, CancellationToken cancel) =>
        tar.WriteEntryAsync(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(Encoding.UTF8.GetBytes(text)) }, cancel);

    private static string Digest(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    private static string Json(Action<Utf8JsonWriter> write)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream)) write(json);
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static void Strings(Utf8JsonWriter json, string name, IReadOnlyList<string> values)
    {
        json.WriteStartArray(name);
        foreach (var value in values) json.WriteStringValue(value);
        json.WriteEndArray();
    }

    private static void Set(Utf8JsonWriter json, string name, IReadOnlyList<string> keys)
    {
        json.WriteStartObject(name);
        foreach (var key in keys) { json.WriteStartObject(key); json.WriteEndObject(); }
        json.WriteEndObject();
    }
}
