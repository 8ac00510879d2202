using System.CommandLine;
using Drover.Cli.Lab;
using Drover.Cli.Lab.Images;

namespace Drover.Cli.Commands.Lab;

internal static class ImagesCommand
{
    public static Command Build()
    {
        var rebuild = new Option<bool>("--rebuild") { Description = "Throw the cache away and build anew, with Debian's packages of today" };
        var command = new Command("images", $"Build the lab's container images (kept in {ImageStore.Folder})") { rebuild };
        command.Does(async (parsed, cancel) =>
        {
            var progress = LabCommands.Progress(parsed);
            var archive = await new ImageStore(new HostPrograms(), progress).Ensure(parsed.GetValue(rebuild), cancel);
            progress.Plain($"{archive.File}: {string.Join(", ", archive.Tags)}");
            return 0;
        });
        return command;
    }
}
