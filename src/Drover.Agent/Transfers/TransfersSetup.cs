namespace Drover.Agent.Transfers;

public static class TransfersSetup
{
    /// <summary>The server for incoming transfers, the sender of rounds, and the <see cref="TicketKey"/> that whoever hears the control plane's Welcome must set.</summary>
    public static IServiceCollection AddTransfers(this IServiceCollection services, AgentOptions options) => services
        .AddSingleton<TicketKey>().AddSingleton<TransferLimits>()
        .AddSingleton(s => ActivatorUtilities.CreateInstance<TransferServer>(s, options))
        .AddSingleton<IArrivals>(s => s.GetRequiredService<TransferServer>())
        .AddHostedService(s => s.GetRequiredService<TransferServer>())
        .AddSingleton<IRoundSender>(s => ActivatorUtilities.CreateInstance<RoundSender>(s, options));
}
