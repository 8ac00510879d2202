using System.CommandLine;
using System.Globalization;
using Drover.Cli.Control;
using Drover.Cli.Output;
using Drover.Contracts.Api;
using Spectre.Console;

namespace Drover.Cli.Commands.Trust;

/// <summary>`drover token …`: who may use the API.</summary>
public static class TokenCommand
{
    public static Command Build()
    {
        var command = new Command("token", "Who may use the API, and for what");
        command.Subcommands.Add(Create());
        command.Subcommands.Add(List());
        command.Subcommands.Add(Revoke());
        return command;
    }

    private static Command Create()
    {
        var name = new Argument<string>("name") { Description = "Who or what it is for; the audit log shows it" };
        var role = new Option<string>("--role") { Description = "viewer reads, operator changes apps and volumes, admin decides who belongs to the cluster", Required = true, HelpName = "viewer|operator|admin" };
        var ttl = new Option<string?>("--ttl") { Description = "How long it is good (default: until it is revoked)", HelpName = "30d" };
        var command = new Command("create", "Make a token; it is printed once") { name, role, ttl };
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var made = await client.Post("/api/v1/tokens", new TokenRequest(parsed.GetValue(name), parsed.GetValue(role), Span.Seconds(parsed.GetValue(ttl), "--ttl")),
                TrustApiJson.Default.TokenRequest, TrustApiJson.Default.TokenView, cancel);
            if (parsed.GetValue(RootCommands.Json)) Screen.Json(made, TrustApiJson.Default.TokenView);
            else Console.Out.WriteLine(made.Secret);
            return ExitCode.Done;
        });
        return command;
    }

    private static Command List()
    {
        var command = new Command("list", "The tokens there are, without their secrets");
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            var all = await client.Get("/api/v1/tokens", TrustApiJson.Default.TokensView, cancel);
            if (parsed.GetValue(RootCommands.Json)) { Screen.Json(all, TrustApiJson.Default.TokensView); return ExitCode.Done; }
            var table = Screen.Table("TOKEN", "ROLE", "MADE", "ENDS");
            foreach (var token in all.Tokens)
                table.AddRow(Screen.Safe(token.Name), Screen.Safe(token.Role), token.CreatedAt.ToString("u", CultureInfo.InvariantCulture),
                    token.ExpiresAt is { } end ? end.ToString("u", CultureInfo.InvariantCulture) + (token.Expired ? " [red]over[/]" : "") : "-");
            Screen.Write(table);
            return ExitCode.Done;
        });
        return command;
    }

    private static Command Revoke()
    {
        var name = new Argument<string>("name") { Description = "As in `drover token list`" };
        var command = new Command("revoke", "The token is good for nothing from now on") { name };
        command.SetAction(async (parsed, cancel) =>
        {
            using var client = RootCommands.Connect(parsed);
            await client.SendJson(HttpMethod.Delete, $"/api/v1/tokens/{Uri.EscapeDataString(parsed.GetValue(name)!)}", null, cancel);
            Console.Out.WriteLine($"{parsed.GetValue(name)} is revoked");
            return ExitCode.Done;
        });
        return command;
    }
}
