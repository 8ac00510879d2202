using System.Formats.Tar;
using System.Globalization;
using System.Net;
using Docker.DotNet;
using Docker.DotNet.Models;
using Drover.Core;

namespace Drover.Agent.Containers.Docker;

/// <summary>What concerns images: having them here, and reading who owns a folder in them.</summary>
internal sealed class DockerImages(DockerClient docker)
{
    public async Task<ContainerOutcome> Pull(string image, bool force, CancellationToken cancel)
    {
        var here = await Here(image, cancel);
        if (here && !force) return ContainerOutcome.Done;
        var said = new LastError();
        try
        {
            var (name, tag) = Split(image);
            await docker.Images.CreateImageAsync(new ImagesCreateParameters { FromImage = name, Tag = tag }, new AuthConfig(), said, cancel);
        }
        catch (DockerApiException e) { said.Message = DockerRuntime.Words(e); }
        if (said.Message is null && await Here(image, cancel)) return ContainerOutcome.Done;
        return new(ContainerOutcomeKind.NoImage, $"image '{image}' {(here ? "is here but could not be pulled anew as asked" : "is not on this node and cannot be pulled")}: "
            + $"{said.Message ?? "the registry sent nothing"}. Check the name, or load it with `docker load` on this node");
    }

    private async Task<bool> Here(string image, CancellationToken cancel)
    {
        try
        {
            await docker.Images.InspectImageAsync(image, cancel);
            return true;
        }
        catch (DockerApiException e) when (e.StatusCode == HttpStatusCode.NotFound) { return false; }
    }

    private static (string Name, string Tag) Split(string image)
    {
        if (image.Contains('@', StringComparison.Ordinal)) return (image, "");
        var colon = image.LastIndexOf(':');
        return colon > image.LastIndexOf('/') ? (image[..colon], image[(colon + 1)..]) : (image, "latest");
    }

    /// <summary>Reads from the bare image: in the container itself the folder would already be the mount's.</summary>
    public async Task<MountOwner> OwnerOf(string image, string user, string path, string probeName, CancellationToken cancel)
    {
        await DropProbe(probeName, cancel);
        // Without our labels it is nobody's container; it never starts.
        var probe = await docker.Containers.CreateContainerAsync(
            new CreateContainerParameters { Name = probeName, Image = image, Cmd = ["/bin/true"], HostConfig = new HostConfig { NetworkMode = "none" } }, cancel);
        try
        {
            var (uid, gid) = await Resolve(probe.ID, user, cancel);
            var folder = await FirstEntry(probe.ID, path, cancel);
            if (folder is not { EntryType: TarEntryType.Directory }) return new(uid, gid, 0b111_101_101);
            // A folder of root in an image that runs as somebody else would not be writable for whom the volume is meant.
            return folder.Uid == 0 && uid != 0 ? new(uid, gid, (int)folder.Mode) : new(folder.Uid, folder.Gid, (int)folder.Mode);
        }
        finally
        {
            await DropProbe(probeName, CancellationToken.None);
        }
    }

    private async Task DropProbe(string name, CancellationToken cancel)
    {
        try { await docker.Containers.RemoveContainerAsync(name, new ContainerRemoveParameters { RemoveVolumes = true }, cancel); }
        catch (DockerApiException e) when (e.StatusCode == HttpStatusCode.NotFound) { /* none left over: nothing to drop */ }
    }

    private async Task<TarEntry?> FirstEntry(string container, string path, CancellationToken cancel)
    {
        if (await Archive(container, path, cancel) is not { } stream) return null;
        await using (stream)
        {
            await using var tar = new TarReader(stream, leaveOpen: true);
            return await tar.GetNextEntryAsync(copyData: false, cancel);
        }
    }

    private async Task<Stream?> Archive(string container, string path, CancellationToken cancel)
    {
        try { return (await docker.Containers.GetArchiveFromContainerAsync(container, new ContainerPathStatParameters { Path = path }, statOnly: false, cancel)).Stream; }
        catch (DockerApiException e) when (e.StatusCode == HttpStatusCode.NotFound) { return null; }
    }

    /// <summary>`name`, `uid`, `name:group` or `uid:gid` as the image knows them; unknown names count as root, as they would fail at start anyway.</summary>
    private async Task<(int Uid, int Gid)> Resolve(string container, string user, CancellationToken cancel)
    {
        if (user.Length == 0) return (0, 0);
        var parts = user.Split(':');
        var passwd = await Lines(container, "/etc/passwd", cancel);
        var entry = passwd.FirstOrDefault(fields => fields.Length > 3 && (fields[0] == parts[0] || fields[2] == parts[0]));
        var uid = Number(parts[0]) ?? Number(entry?[2]) ?? 0;
        if (parts.Length < 2) return (uid, Number(entry?[3]) ?? 0);
        if (Number(parts[1]) is { } gid) return (uid, gid);
        var group = (await Lines(container, "/etc/group", cancel)).FirstOrDefault(fields => fields.Length > 2 && fields[0] == parts[1]);
        return (uid, Number(group?[2]) ?? 0);
    }

    private static int? Number(string? text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    private async Task<IReadOnlyList<string[]>> Lines(string container, string path, CancellationToken cancel)
    {
        if (await Archive(container, path, cancel) is not { } stream) return [];
        await using (stream)
        {
            await using var tar = new TarReader(stream, leaveOpen: true);
            if ((await tar.GetNextEntryAsync(copyData: true, cancel))?.DataStream is not { } data) return [];
            using var reader = new StreamReader(data);
            return [.. (await reader.ReadToEndAsync(cancel)).Split('\n').Select(line => line.Split(':'))];
        }
    }

    /// <summary>The pull's stream ends well even when the pull did not: the failure is one of its messages.</summary>
    private sealed class LastError : IProgress<JSONMessage>
    {
        public string? Message { get; set; }
        public void Report(JSONMessage value) => Message = value.Error?.Message ?? Message;
    }
}
