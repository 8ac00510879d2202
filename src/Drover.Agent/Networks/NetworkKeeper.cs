using Drover.Agent.Reconcile;
using Drover.Core;

namespace Drover.Agent.Networks;

/// <summary>Keeps this node's overlays as the orders want them: woken by their changes, one network after the other.</summary>
public sealed class NetworkKeeper(Orders orders, IOverlay overlay, IDockerNetworks docker, TimeProvider time, ILogger<NetworkKeeper> log) : BackgroundService
{
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(2);
    private readonly SemaphoreSlim _woken = new(0, 1);
    private readonly Dictionary<NetworkName, Contracts.Agent.DesiredNetwork> _applied = [];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        orders.Changed += OnOrders;
        try
        {
            while (!stoppingToken.IsCancellationRequested)
            {
                var whole = !orders.Fresh || await Converge(stoppingToken);
                if (whole) await _woken.WaitAsync(stoppingToken);
                else await Task.Delay(Retry, time, stoppingToken);
            }
        }
        finally { orders.Changed -= OnOrders; }
    }

    private void OnOrders(NodeDesired before, NodeDesired after)
    {
        if (ReferenceEquals(before.Networks, after.Networks)) return;
        lock (_woken)
            if (_woken.CurrentCount == 0) _woken.Release();
    }

    /// <summary>False: something is still missing.</summary>
    private async Task<bool> Converge(CancellationToken cancel)
    {
        var wanted = orders.Current.Networks;
        var whole = true;
        foreach (var (name, network) in wanted)
        {
            if (_applied.TryGetValue(name, out var applied) && applied.Equals(network)) continue;
            whole &= await Try(name, async () =>
            {
                await overlay.Apply(network, cancel);
                await docker.Ensure(network, cancel);
                _applied[name] = network;
            });
        }
        foreach (var name in (await overlay.List(cancel)).Where(n => !wanted.ContainsKey(n)))
        {
            whole &= await Try(name, async () =>
            {
                await docker.Remove(name, cancel);
                await overlay.Remove(name, cancel);
                _applied.Remove(name);
            });
        }
        return whole;
    }

    private async Task<bool> Try(NetworkName name, Func<Task> work)
    {
        try { await work(); return true; }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            log.LogWarning("Overlay {Network}: {Error}", name, e.Message);
            return false;
        }
    }
}
