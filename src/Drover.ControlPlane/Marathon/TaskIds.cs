using System.Text.RegularExpressions;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.ControlPlane.Marathon;

/// <summary>Ids of tasks in every form a client may have kept: `db_mongo.instance-UUID._app.2` (1.8 and later), `….instance-UUID._app` and `….marathon-UUID` (before), `db_mongo.UUID` (2015), and ids of instances.</summary>
public static partial class TaskIds
{
    // What stands before the last dot or underscore is the app's path; Marathon asks for no more than that of the oldest form.
    [GeneratedRegex(@"^.+[._][^_.]+\z")]
    private static partial Regex Shape();

    [GeneratedRegex(@"^(?<app>.+?)\.(?:marathon-|instance-)?(?<copy>[^_.]+)(?:\._app(?:\.(?<incarnation>\d+))?)?\z")]
    private static partial Regex Parts();

    public static bool IsOne(string text) => Shape().IsMatch(text);

    /// <summary>The copy that runs under this id now; null: none does, or no more. An id with an older number than the copy's means a container that has ended.</summary>
    public static Instance? Find(ClusterState state, string text)
    {
        if (state.Instances.TryGetValue(new InstanceId(text), out var same)) return same;
        if (Parts().Match(text) is not { Success: true } parts) return null;
        if (!state.Instances.TryGetValue(new InstanceId($"{parts.Groups["app"].Value}.instance-{parts.Groups["copy"].Value}"), out var copy)) return null;
        return !parts.Groups["incarnation"].Success || copy.Task.Value == text ? copy : null;
    }
}
