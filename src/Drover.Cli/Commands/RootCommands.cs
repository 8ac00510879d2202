using System.CommandLine;
using Drover.Cli.Commands.Apps;
using Drover.Cli.Commands.Cluster;
using Drover.Cli.Commands.Moves;
using Drover.Cli.Commands.Nodes;
using Drover.Cli.Commands.Volumes;
using Drover.Cli.Control;

namespace Drover.Cli.Commands;

/// <summary>The whole grammar of `drover`.</summary>
public static class RootCommands
{
    public static readonly Option<string?> Control = new("--control")
    {
        Description = "Address of the control plane (default: DROVER_CONTROL, then the lab that is up, then http://127.0.0.1:8080)", Recursive = true, HelpName = "URL",
    };

    public static readonly Option<bool> Json = new("--json") { Description = "Print the API's JSON", Recursive = true };

    private static readonly Option<string?> Authority = new("--ca") { Description = "Certificates (PEM) that the control plane's may be signed by (default: DROVER_CA, then this machine's)", Recursive = true, HelpName = "FILE" };

    private static readonly Option<string?> Pin = new("--ca-pin") { Description = "SHA-256 of the authority's key instead of --ca, as `drover-control init` printed it (default: DROVER_CA_PIN)", Recursive = true, HelpName = "HEX" };

    private static readonly Option<string?> TokenFile = new("--token-file") { Description = "File with the API token (default: the token in DROVER_TOKEN)", Recursive = true, HelpName = "FILE" };

    public static RootCommand Build()
    {
        var root = new RootCommand("Drover moves running containers together with their data.") { Control, Json, Authority, Pin, TokenFile };
        root.Subcommands.Add(StatusCommand.Build());
        root.Subcommands.Add(QueueCommand.Build());
        root.Subcommands.Add(NodesCommand.Build());
        root.Subcommands.Add(NodeCommand.Build());
        root.Subcommands.Add(RebalanceCommand.Build());
        root.Subcommands.Add(VolumesCommand.Build());
        root.Subcommands.Add(VolumeCommands.Build());
        root.Subcommands.Add(EventsCommand.Build());
        root.Subcommands.Add(AppsCommand.Build());
        root.Subcommands.Add(AppCommands.Build());
        root.Subcommands.Add(LogsCommand.Build());
        root.Subcommands.Add(MoveCommand.Build());
        root.Subcommands.Add(MovesCommand.Build());
        root.Subcommands.Add(Trust.TokenCommand.Build());
        root.Subcommands.Add(Trust.AuthorityCommand.Build());
        root.Subcommands.Add(Trust.AuditCommand.Build());
        root.Subcommands.Add(Lab.LabCommands.Build());
        root.Subcommands.Add(CompletionCommand.Build());
        return root;
    }

    /// <summary>A client for the address this command line names.</summary>
    public static ControlClient Connect(ParseResult parsed) =>
        new(ControlAddress.Resolve(parsed.GetValue(Control), Environment.GetEnvironmentVariable("DROVER_CONTROL")),
            Credentials.Read(parsed.GetValue(Authority), parsed.GetValue(Pin), parsed.GetValue(TokenFile), Environment.GetEnvironmentVariable));
}
