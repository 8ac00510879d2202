using Drover.Contracts.Hosting;
using Drover.Contracts.Tracing;
using Drover.ControlPlane.Access;
using Drover.ControlPlane.Agents;
using Drover.ControlPlane.Api;
using Drover.ControlPlane.Apps;
using Drover.ControlPlane.Events;
using Drover.ControlPlane.Marathon;
using Drover.ControlPlane.Moves;
using Drover.ControlPlane.Nodes;
using Drover.ControlPlane.Observability;
using Drover.ControlPlane.Store;
using Drover.ControlPlane.Store.Sqlite;
using Drover.ControlPlane.Volumes;
using Drover.Core;

namespace Drover.ControlPlane;

public static class Program
{
    public static async Task<int> Main(string[] args)
    {
        try
        {
            switch (CommandLine.Parse(args))
            {
                case CommandLine.Serve serve: return await Serve(serve.Options);
                case CommandLine.Init init: return await InitCommand.Run(init, Console.Out, TimeProvider.System);
                case CommandLine.OpenApi describe:
                    OpenApi.OpenApiDocuments.Write(describe.Folder);
                    return 0;
                case CommandLine.Help:
                    Console.Out.WriteLine(CommandLine.Usage);
                    return 0;
                case CommandLine.Wrong wrong:
                    Console.Error.WriteLine($"drover-control: {wrong.Why}");
                    return 2;
                default: throw new System.Diagnostics.UnreachableException();
            }
        }
        catch (Exception e) when (e is InvalidOperationException or InvalidDataException or IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"drover-control: {e.Message}");
            return 1;
        }
    }

    private static async Task<int> Serve(ControlPlaneOptions options)
    {
        Failpoints.Begin("control");
        using var folder = DataFolder.Hold(options.Data);
        await using var store = SqliteStore.Open(folder.Database, TimeProvider.System);
        await using var app = await Build(options, folder, store, TimeProvider.System, new SystemChance());
        var (collector, fault) = OtlpSettings.Read(Environment.GetEnvironmentVariable, "drover-control");
        if (fault is not null) throw new InvalidOperationException(fault);
        await using var traces = collector is null ? null : new OtlpExporter(collector, [("drover.cluster", options.Name)], TimeProvider.System, why => app.Logger.LogWarning("{Why}", why));
        await app.RunAsync();
        return 0;
    }

    /// <summary>The whole control plane, ready to start: state loaded, every slice in its place.</summary>
    public static async Task<WebApplication> Build(ControlPlaneOptions options, DataFolder folder, IStateStore store, TimeProvider time, IChance chance)
    {
        // Everything is said on the command line. Looking out for settings that change would mean to watch every folder below the one this runs in, which for a service is the
        // whole machine: a file system that hangs would keep it from starting.
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory, Args = ["--hostBuilder:reloadConfigOnChange=false"] });
        builder.Logging.ClearProviders().AddConsoleLines(options.JsonLog);
        store = new MeteredStore(store, time);
        var trust = await TrustBook.Open(store);
        var audit = await AuditLog.Open(folder, store, time);
        var listened = Listeners.AddressesOf(options.Agents.Address).Concat(Listeners.AddressesOf(options.Http.Address)).Distinct();
        var authorities = new Authorities(folder, trust, time, listened.Select(a => a.ToString()));
        if (options.NeedsToken && !trust.State.Tokens.Any(t => t.Role == Core.Trust.ApiRole.Admin && !t.Expired(time.GetUtcNow())))
            throw new InvalidOperationException($"The API on {options.Http} asks for a token and there is no admin token yet: make one with `drover-control init --data {options.Data}`.");
        var tickets = Tickets.OpenOrCreate(folder, chance);
        var cluster = await Cluster.Open(store, time, CancellationToken.None);
        builder.Services.AddSingleton(options).AddSingleton(time).AddSingleton(chance).AddSingleton(store).AddSingleton<ICluster>(cluster).AddSingleton<ITransferTickets>(tickets);

        builder.Services.AddAgents(new AgentLinkOptions(options.Name, tickets.PublicKeyPem, await Term.Next(store), TimeSpan.FromSeconds(3)) { Lease = new(options.Lease) });
        builder.Services.AddApps();
        builder.Services.AddMoves(DesiredState.For);
        builder.Services.AddNodes();
        builder.Services.AddVolumeLife();
        builder.Services.AddEvents();
        builder.Services.AddObservability();

        builder.Services.AddAccess(trust, authorities, audit);

        builder.Listen(options, authorities, audit);
        var app = builder.Build();
        app.Services.UseObservability(cluster);
        app.UseListeners();
        app.UseApiGate();
        app.UseAccess();
        app.MapAgents();
        app.MapAccess();
        app.MapApiV1();
        app.MapMarathon();
        if (!System.Net.IPAddress.IsLoopback(options.Http.Address) && !options.NeedsToken) app.Logger.PlainHttp(options.Http.ToString());
        return app;
    }
}
