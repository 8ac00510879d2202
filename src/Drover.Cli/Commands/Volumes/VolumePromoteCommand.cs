using System.CommandLine;
using Drover.Cli.Control;
using Drover.Cli.Output;
using Drover.Contracts.Api;

namespace Drover.Cli.Commands.Volumes;

/// <summary>`drover volume promote NAME --to NODE --accept-loss`</summary>
public static class VolumePromoteCommand
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(5), Shortest = TimeSpan.FromMilliseconds(500);

    public static Command Build()
    {
        var name = new Argument<string>("name") { Description = "The volume" };
        var to = new Option<string>("--to") { Description = "Node with a standby of it", HelpName = "NODE", Required = true };
        var accept = new Option<bool>("--accept-loss") { Description = "What was written since the standby's snapshot may be missing" };
        var noWait = new Option<bool>("--no-wait") { Description = "Fail instead of waiting for the lease of the lost node to end" };
        var command = new Command("promote", "Make a standby the primary because the primary's node is lost (a reachable one is moved without loss: drover move)") { name, to, accept, noWait };
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var request = new PromotionRequest(parsed.GetRequiredValue(to), parsed.GetValue(accept));
            var done = await Promote(client, $"/api/v1/volumes/{Uri.EscapeDataString(parsed.GetRequiredValue(name))}/promote", request, parsed.GetValue(noWait), cancel);
            if (parsed.GetValue(RootCommands.Json)) Screen.Json(done, ApiJson.Default.PromotionView);
            else
            {
                Console.Out.WriteLine($"volume {done.Volume} is on {done.To} at epoch {done.Epoch}, of snapshot {done.Snapshot}");
                Console.Out.WriteLine(done.Loss);
            }
            return ExitCode.Done;
        });
        return command;
    }

    private static async Task<PromotionView> Promote(ControlClient client, string path, PromotionRequest request, bool noWait, CancellationToken cancel)
    {
        var said = "";
        while (true)
        {
            try { return await client.Post(path, request, ApiJson.Default.PromotionRequest, ApiJson.Default.PromotionView, cancel); }
            catch (CommandFailure wait) when (wait.RetryAfter is { } left && !noWait)
            {
                // Said once, and again only when it has changed by more than the time that passed.
                if (said.Length == 0) Console.Error.WriteLine($"waiting until {TimeProvider.System.GetUtcNow() + left:HH:mm:ss} UTC: {said = wait.Message}");
                await Task.Delay(left < Shortest ? Shortest : left < Longest ? left : Longest, TimeProvider.System, cancel);
            }
        }
    }
}
