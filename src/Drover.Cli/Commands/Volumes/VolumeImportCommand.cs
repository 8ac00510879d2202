using System.CommandLine;
using Drover.Cli.Commands.Moves;
using Drover.Cli.Control;
using Drover.Cli.Output;
using Drover.Contracts.Api;

namespace Drover.Cli.Commands.Volumes;

/// <summary>`drover volume import NAME FILE|- [--node NODE] [--size SIZE]`</summary>
public static class VolumeImportCommand
{
    public static Command Build()
    {
        var name = new Argument<string>("name") { Description = "The new volume" };
        var file = new Argument<string>("file") { Description = "What an export wrote; - for standard input" };
        var node = new Option<string?>("--node") { Description = "Node for its data (default: the one with the most free space)", HelpName = "NODE" };
        var size = new Option<string?>("--size") { Description = "What it may grow to; none: no limit (default: as it was where it came from)", HelpName = "SIZE" };
        var limit = new Option<string?>("--limit") { Description = "Rate, such as 50MB/s", HelpName = "RATE" };
        var command = new Command("import", "Make a volume of a file of `drover volume export`") { name, file, node, size, limit };
        command.SetAction(async (parsed, cancel) =>
        {
            var given = parsed.GetRequiredValue(file);
            await using var input = given == "-" ? Console.OpenStandardInput() : Opened(given);
            using var client = RootCommands.Connect(parsed);
            var query = string.Join('&', new[] { Part("node", parsed.GetValue(node)), Part("size", parsed.GetValue(size)), MoveCommand.Rate(parsed.GetValue(limit)) is > 0 and var rate ? $"limit={rate}" : null }.Where(q => q is not null));
            using var progress = new TransferProgress(input.CanSeek ? input.Length : null);
            var operation = await client.Upload($"/api/v1/volumes/{Uri.EscapeDataString(parsed.GetRequiredValue(name))}/import{(query.Length > 0 ? $"?{query}" : "")}", new CountingStream(input, progress), ApiJson.Default.OperationView, cancel);
            progress.Dispose();
            if (parsed.GetValue(RootCommands.Json)) Screen.Json(operation, ApiJson.Default.OperationView);
            else Console.Out.WriteLine(VolumeDrawing.Line(operation));
            return ExitCode.Done;
        });
        return command;
    }

    private static string? Part(string name, string? value) => value is null ? null : $"{name}={Uri.EscapeDataString(value)}";

    private static FileStream Opened(string file)
    {
        try { return File.OpenRead(file); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw new CommandFailure($"{file} cannot be read: {e.Message}"); }
    }

    private sealed class CountingStream(Stream from, TransferProgress progress) : ReadingStream
    {
        private long _bytes;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = await from.ReadAsync(buffer, cancellationToken);
            progress.At(_bytes += read);
            return read;
        }
    }
}
