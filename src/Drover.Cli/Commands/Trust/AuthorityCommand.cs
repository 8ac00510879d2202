using System.CommandLine;
using Drover.Cli.Control;
using Drover.Cli.Output;
using Drover.Contracts.Api;

namespace Drover.Cli.Commands.Trust;

/// <summary>`drover ca …`: the cluster's certificate authority.</summary>
public static class AuthorityCommand
{
    public static Command Build()
    {
        var command = new Command("ca", "The cluster's certificate authority");
        command.Subcommands.Add(Act("show", "Print its certificates (for --ca) and pins (for --ca-pin)", (_, client, cancel) => client.Get("/api/v1/ca", TrustApiJson.Default.AuthorityView, cancel)));
        command.Subcommands.Add(Act("rotate", "Begin with a new one; both are trusted while the nodes renew", (_, client, cancel) => Post(client, "rotate", new(null), cancel)));
        var force = new Option<bool>("--force") { Description = "Also while nodes still use the old one: they must join anew" };
        var finish = Act("finish", "Drop the old one", (parsed, client, cancel) => Post(client, "finish", new(parsed.GetValue(force)), cancel));
        finish.Options.Add(force);
        command.Subcommands.Add(finish);
        return command;
    }

    private static Task<AuthorityView> Post(ControlClient client, string what, FinishRequest body, CancellationToken cancel) =>
        client.Post($"/api/v1/ca/{what}", body, TrustApiJson.Default.FinishRequest, TrustApiJson.Default.AuthorityView, cancel);

    private static Command Act(string name, string about, Func<ParseResult, ControlClient, CancellationToken, Task<AuthorityView>> ask)
    {
        var command = new Command(name, about);
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            Show(await ask(parsed, client, cancel), parsed.GetValue(RootCommands.Json));
            return ExitCode.Done;
        });
        return command;
    }

    private static void Show(AuthorityView view, bool json)
    {
        if (json) { Screen.Json(view, TrustApiJson.Default.AuthorityView); return; }
        // The certificates alone on standard output, so that they can go into a file.
        Console.Out.Write(view.Pem);
        foreach (var pin in view.Pins) Console.Error.WriteLine($"pin {pin}");
        if (view.Changing) Console.Error.WriteLine(view.Behind.Count > 0 ? $"changing; still on the old one: {string.Join(", ", view.Behind)}" : "changing; every node has renewed: `drover ca finish` drops the old one");
    }
}
