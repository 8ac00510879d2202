using System.CommandLine;
using System.Globalization;
using Drover.Cli.Commands.Moves;
using Drover.Cli.Control;
using Drover.Cli.Output;
using Drover.Contracts.Volumes;

namespace Drover.Cli.Commands.Volumes;

/// <summary>`drover volume export NAME [SNAPSHOT] FILE|-`</summary>
public static class VolumeExportCommand
{
    public static Command Build()
    {
        var name = new Argument<string>("name") { Description = "The volume" };
        var rest = new Argument<string[]>("snapshot-and-file") { HelpName = "[SNAPSHOT] FILE", Description = "A snapshot (default: one that is taken now, while the app runs), and the file to write; - for standard output", Arity = new ArgumentArity(1, 2) };
        var limit = new Option<string?>("--limit") { Description = "Rate, such as 50MB/s", HelpName = "RATE" };
        var force = new Option<bool>("--force") { Description = "Replace a file that is there" };
        var command = new Command("export", "Write a volume's data into one file, which any node can import") { name, rest, limit, force };
        command.SetAction(async (parsed, cancel) =>
        {
            var words = parsed.GetRequiredValue(rest);
            var (snapshot, file) = words.Length == 2 ? (words[0], words[1]) : (null, words[0]);
            using var client = RootCommands.Connect(parsed);
            var query = string.Join('&', new[] { snapshot is null ? null : $"snapshot={Uri.EscapeDataString(snapshot)}", MoveCommand.Rate(parsed.GetValue(limit)) is > 0 and var rate ? $"limit={rate}" : null }.Where(q => q is not null));
            var path = $"/api/v1/volumes/{Uri.EscapeDataString(parsed.GetRequiredValue(name))}/export{(query.Length > 0 ? $"?{query}" : "")}";
            if (file == "-")
            {
                await using var output = Console.OpenStandardOutput();
                await client.Download(path, from => Copy(from, output, cancel), cancel);
                return ExitCode.Done;
            }
            var header = await ToFile(client, path, file, parsed.GetValue(force), cancel);
            if (parsed.GetValue(RootCommands.Json)) Screen.Json(header, VolumeFileJson.Default.VolumeFileHeader);
            else Console.Out.WriteLine($"volume {header.Volume}, snapshot {header.Snapshot}, is in {file} ({Screen.Bytes(new FileInfo(file).Length)})");
            return ExitCode.Done;
        });
        return command;
    }

    /// <summary>Under its name only when it is whole and on disk.</summary>
    private static async Task<VolumeFileHeader> ToFile(ControlClient client, string path, string file, bool force, CancellationToken cancel)
    {
        if (!force && File.Exists(file)) throw new CommandFailure($"{file} is there already: choose another name, or say --force");
        var part = file + ".part";
        VolumeFileHeader? header = null;
        try
        {
            await using (var output = Opened(part))
            {
                await client.Download(path, async from => header = await Copy(from, output, cancel), cancel);
                output.Flush(flushToDisk: true);
            }
            File.Move(part, file, overwrite: force);
        }
        finally
        {
            // Ours, and no file yet.
            if (header is null) File.Delete(part);
        }
        return header!;
    }

    private static FileStream Opened(string part)
    {
        try { return new FileStream(part, FileMode.Create, FileAccess.Write, FileShare.None); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw new CommandFailure($"{part} cannot be written: {e.Message}"); }
    }

    /// <summary>Copies what it reads, and fails where it is not whole: the same look that an import takes.</summary>
    private static async Task<VolumeFileHeader> Copy(Stream from, Stream to, CancellationToken cancel)
    {
        try
        {
            using var reader = new VolumeFileReader(new CopyingStream(from, to));
            var header = await reader.Begin(cancel);
            using var progress = new TransferProgress(header.Bytes > 0 ? header.Bytes : null);
            long bytes = 0;
            while (await reader.Next(cancel) is (_, var raw)) progress.At(bytes += raw);
            await to.FlushAsync(cancel);
            return header;
        }
        catch (Exception e) when (e is InvalidDataException or HttpIOException or HttpRequestException)
        {
            throw new CommandFailure(string.Create(CultureInfo.InvariantCulture, $"the export broke off: {e.Message}. Nothing is kept of it; the control plane's and the node's log say why"));
        }
    }

    /// <summary>What is read of one goes into the other.</summary>
    private sealed class CopyingStream(Stream from, Stream to) : ReadingStream
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = await from.ReadAsync(buffer, cancellationToken);
            await to.WriteAsync(buffer[..read], cancellationToken);
            return read;
        }
    }
}
