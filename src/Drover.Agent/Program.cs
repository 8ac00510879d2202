using Drover.Agent.Containers;
using Drover.Agent.Containers.Docker;
using Drover.Agent.Guard;
using Drover.Agent.Host;
using Drover.Agent.Leases;
using Drover.Agent.Link;
using Drover.Agent.Metrics;
using Drover.Agent.Networks;
using Drover.Agent.Reconcile;
using Drover.Agent.Transfers;
using Drover.Agent.Volumes;
using Drover.Contracts.Hosting;
using Drover.Contracts.Tracing;
using Drover.Core;

namespace Drover.Agent;

public static class Program
{
    // Apart, so that the guard loads nothing of what only the agent needs.
    public static Task<int> Main(string[] args) => args is [GuardProgram.Word, var folder] ? Task.FromResult(GuardProgram.Run(folder)) : Serve(args);

    private static async Task<int> Serve(string[] args)
    {
        if (args is ["--help" or "-h"]) { Console.WriteLine(AgentOptionsReader.Usage); return 0; }
        if (args is ["join", "--help" or "-h"]) { Console.WriteLine(JoinCommand.Usage); return 0; }
        try
        {
            if (args is ["join", ..]) return await new JoinCommand(TimeProvider.System).Run(args[1..], Console.In, Console.Out, CancellationToken.None);
            var options = AgentOptionsReader.Read(args, Environment.GetEnvironmentVariable, file => File.Exists(file) ? File.ReadAllText(file) : null);
            Failpoints.Begin(options.Node);
            if (!Environment.IsPrivilegedProcess) throw new OptionsInvalid("drover-agent mounts volumes and makes networks: run it as root");
            using var identity = AgentIdentity.Read(options.Certificates, options.Node);
            using var seat = AgentSeat.Take(options.StateFolder, new BootClock());
            using var host = Build(options, identity, seat);
            await using var traces = Exporter(options, host.Services.GetRequiredService<ILoggerFactory>());
            await host.Services.GetRequiredService<IVolumeDriver>().Recover(CancellationToken.None);
            await host.RunAsync();
            return 0;
        }
        catch (Exception e) when (e is OptionsInvalid or InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            await Console.Error.WriteLineAsync($"drover-agent: {e.Message}");
            return e is OptionsInvalid ? 2 : 1;
        }
    }

    /// <summary>Null: the environment names no collector.</summary>
    private static OtlpExporter? Exporter(AgentOptions options, ILoggerFactory logs)
    {
        var (settings, fault) = OtlpSettings.Read(Environment.GetEnvironmentVariable, "drover-agent");
        if (fault is not null) throw new OptionsInvalid(fault);
        return settings is null ? null : new OtlpExporter(settings, [("drover.node", options.Node)], TimeProvider.System, why => logs.CreateLogger<OtlpExporter>().LogWarning("{Why}", why));
    }

    private static IHost Build(AgentOptions options, AgentIdentity identity, AgentSeat seat)
    {
        var builder = Microsoft.Extensions.Hosting.Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        if (options.JsonLog) builder.Logging.AddProvider(new JsonLines(Console.OpenStandardOutput(), TimeProvider.System, ("node", options.Node)));
        else builder.Logging.AddSimpleConsole(console => { console.SingleLine = true; console.TimestampFormat = "HH:mm:ss.fff "; console.UseUtcTimestamp = true; });
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning).AddFilter("Grpc", LogLevel.Warning);
        var services = builder.Services;
        services.AddSingleton(options).AddSingleton(identity).AddSingleton(TimeProvider.System)
            .AddSingleton<IChance, SystemChance>().AddSingleton<IHostCommands, HostCommands>();
        services.AddMeters();
        services.AddVolumes(options);
        services.AddTransfers(options);
        // The plugin socket must listen before containers with an overlay start.
        services.AddNetworks(options);
        services.AddReconciling(options);
        services.AddSingleton(seat).AddLeases(options);
        services.AddSingleton<ITicketKeySink, TicketKeySink>();
        services.AddSingleton<IControlStreams, ControlStreams>().AddSingleton<VolumeFiles>();
        services.AddHostedService<IdentityKeeper>();
        services.AddHostedService<ControlLink>();
        return builder.Build();
    }

    private static void AddReconciling(this IServiceCollection services, AgentOptions options)
    {
        services.AddSingleton(new Ledger(options.StateFolder)).AddSingleton<Orders>().AddSingleton<KeyedLocks>();
        services.AddSingleton<Outbox>().AddSingleton<IObservations>(s => s.GetRequiredService<Outbox>());
        services.AddSingleton<IContainerNetworks, OrderedOverlays>();
        services.AddSingleton<IContainerRuntime>(s => new DockerRuntime(options.DockerSocket, s.GetRequiredService<IContainerNetworks>(), s.GetRequiredService<TimeProvider>()));
        services.AddSingleton<IVolumeOwner, VolumeOwner>().AddSingleton<NodeBook>().AddSingleton<InstanceWork>();
        services.AddSingleton<IHealthProbe>(s => new HealthProbe(s.GetRequiredService<IContainerRuntime>(), options.Address, s.GetRequiredService<TimeProvider>()));
        services.AddSingleton<HealthChecks>().AddSingleton<NodeFacts>();
        services.AddSingleton<MoveWork>().AddSingleton<VolumeWork>().AddSingleton<IStepWork, StepsByKind>().AddSingleton<StepExecutor>();
        services.AddSingleton<Reconciler>().AddHostedService(s => s.GetRequiredService<Reconciler>());
        services.AddHostedService<NetworkKeeper>();
    }

    /// <summary>Hands the cluster's key to what checks tickets.</summary>
    private sealed class TicketKeySink(TicketKey key) : ITicketKeySink
    {
        public void Learn(string publicKeyPem) => key.Set(publicKeyPem);
    }
}
