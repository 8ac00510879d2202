using System.CommandLine;
using System.Globalization;
using Drover.Cli.Control;
using Drover.Cli.Output;
using Spectre.Console;
using Drover.Contracts.Api;

namespace Drover.Cli.Commands.Cluster;

public static class VolumesCommand
{
    public static Command Build(string word = "volumes")
    {
        var deleted = new Option<bool>("--deleted") { Description = "Also those that were deleted and whose data is kept" };
        var command = new Command(word, "Volumes: where each is writable, where its standbys are") { deleted };
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var volumes = await client.Get(parsed.GetValue(deleted) ? "/api/v1/volumes?deleted=true" : "/api/v1/volumes", ApiJson.Default.VolumesView, cancel);
            if (parsed.GetValue(RootCommands.Json)) { Screen.Json(volumes, ApiJson.Default.VolumesView); return ExitCode.Done; }
            var table = Screen.Table("VOLUME", "PRIMARY", "EPOCH", "APP", "USED", "STANDBYS", "MOVE");
            foreach (var v in volumes.Volumes)
                table.AddRow(Screen.Safe(v.Name), Screen.Safe(v.Primary), v.Epoch.ToString(CultureInfo.InvariantCulture), Screen.Safe(v.App), Screen.Bytes(v.UsedBytes),
                    Screen.Safe(string.Join(' ', v.Standbys.Select(s => s.Node))), Screen.Safe(v.Move));
            Screen.Write(table);
            foreach (var v in volumes.Volumes.Where(v => v.DeletedAt is not null)) Console.Out.WriteLine(VolumeDrawing.Line(v));
            foreach (var v in volumes.Volumes)
                foreach (var fork in v.Forks)
                    Console.Out.WriteLine(fork.Kept ? $"{v.Name}: {fork.Node} holds what only it wrote at epoch {fork.Epoch}, as snapshot {fork.Snapshot}"
                        : $"{v.Name}: {fork.Node} has not come back with what only it wrote at epoch {fork.Epoch}");
            return ExitCode.Done;
        });
        return command;
    }
}
