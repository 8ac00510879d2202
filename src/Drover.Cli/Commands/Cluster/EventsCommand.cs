using System.CommandLine;
using System.Globalization;
using Drover.Cli.Control;
using Drover.Cli.Output;
using Drover.Contracts.Api;
using Spectre.Console;

namespace Drover.Cli.Commands.Cluster;

public static class EventsCommand
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    public static Command Build()
    {
        var follow = new Option<bool>("--follow", "-f") { Description = "Go on as events happen" };
        var kind = new Option<string?>("--kind") { Description = "Only this kind (`move.state`) or family (`move`)", HelpName = "KIND" };
        var command = new Command("events", "What happened, newest last") { follow, kind };
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            await Show(client, parsed.GetValue(follow), parsed.GetValue(kind), parsed.GetValue(RootCommands.Json), cancel);
            return ExitCode.Done;
        });
        return command;
    }

    private static async Task Show(ControlClient client, bool follow, string? kind, bool json, CancellationToken cancel)
    {
        var filter = kind is null ? "" : $"&kind={Uri.EscapeDataString(kind)}";
        long last = 0;
        while (true)
        {
            try
            {
                await foreach (var seen in client.Events($"?after={last}{(follow ? "" : "&follow=false")}{filter}", cancel))
                {
                    last = seen.Sequence;
                    if (json) Screen.Json(seen, ApiJson.Default.EventView);
                    else Draw(seen);
                }
                if (!follow) return;
            }
            catch (CommandFailure failure) when (follow && last > 0 && failure.ExitCode == ExitCode.Unreachable)
            {
                await Console.Error.WriteLineAsync("drover: the control plane went away; waiting for it to come back");
            }
            catch (IOException) when (follow)
            {
                await Console.Error.WriteLineAsync("drover: the stream broke; connecting again");
            }
            await Task.Delay(Pause, TimeProvider.System, cancel);
        }
    }

    private static void Draw(EventView seen) =>
        AnsiConsole.MarkupLine($"[dim]{seen.At.ToLocalTime().ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture)}[/] [blue]{Screen.Safe(seen.Kind)}[/] {Screen.Safe(seen.Text)}");
}
