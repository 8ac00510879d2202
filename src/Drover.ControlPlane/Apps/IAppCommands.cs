using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Groups;

namespace Drover.ControlPlane.Apps;

/// <summary>What can be asked of several apps, or of a group of them.</summary>
public abstract record GroupChange
{
    private GroupChange() { }

    public sealed record Apps(ChangeSet Set) : GroupChange;
    /// <summary>One app back to a version of its own.</summary>
    public sealed record AppRollback(AppId App, DateTimeOffset Version) : GroupChange;
    public sealed record Create(GroupWish Wish) : GroupChange;
    public sealed record Put(GroupWish Wish) : GroupChange;
    public sealed record Scale(GroupId Group, double Factor) : GroupChange;
    public sealed record Rollback(GroupId Group, DateTimeOffset Version) : GroupChange;
    public sealed record Enforce(GroupId Group, bool Role) : GroupChange;
    public sealed record Delete(GroupId Group) : GroupChange;
}

/// <summary>What can be asked of apps. Each answer is given when the decision is stored; the loops carry it out.</summary>
/// <remarks>Specs arrive in canonical form, checked as far as that goes without state; what needs state (a volume or an address in use, a service port taken) is checked here.</remarks>
public interface IAppCommands
{
    /// <param name="now">When the request arrived: the app's version, and where a redeploy's cutover is measured from.</param>
    Task<AppOutcome> Create(AppSpec spec, bool force, DateTimeOffset now, CancellationToken cancel);

    /// <summary>Replaces the app's spec. A spec that says the same as before is accepted and restarts nothing.</summary>
    Task<AppOutcome> Update(AppSpec spec, bool force, DateTimeOffset now, CancellationToken cancel);

    /// <summary>Stops all copies and forgets the app. Its volumes stay, free for another app.</summary>
    Task<AppOutcome> Delete(AppId app, bool force, DateTimeOffset now, CancellationToken cancel);

    /// <summary>Replaces all copies by new ones of the same spec, as an upgrade would.</summary>
    Task<AppOutcome> Restart(AppId app, bool force, DateTimeOffset now, CancellationToken cancel);

    Task<AppOutcome> Scale(AppId app, int instances, bool force, DateTimeOffset now, CancellationToken cancel);

    /// <summary>Stops copies. Others take their place, or with <paramref name="scale"/> their apps shrink by as many.</summary>
    /// <param name="tasks">Task ids or instance ids.</param>
    Task<KillOutcome> KillTasks(IReadOnlyCollection<string> tasks, bool scale, bool force, DateTimeOffset now, CancellationToken cancel);

    /// <summary>Stops all copies of an app, or those on one host.</summary>
    /// <param name="host">Host name; null or `*`: all.</param>
    Task<KillOutcome> KillAll(AppId app, string? host, bool scale, bool force, DateTimeOffset now, CancellationToken cancel);

    /// <summary>Ends a deployment: with <paramref name="force"/> it stops where it stands, without it a new one leads back to the app as it was.</summary>
    Task<CancelOutcome> CancelDeployment(DeploymentId deployment, bool force, DateTimeOffset now, CancellationToken cancel);

    /// <summary>Changes apps all at once, in one deployment.</summary>
    /// <param name="dryRun">Says what would be done, and does nothing.</param>
    Task<ChangeOutcome> Change(GroupChange change, bool force, bool dryRun, DateTimeOffset now, CancellationToken cancel);

    /// <summary>Forgets the app's backoff: what waits for it is launched at once. False: no such app.</summary>
    Task<bool> ResetDelay(AppId app, CancellationToken cancel);
}
