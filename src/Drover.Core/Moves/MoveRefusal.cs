namespace Drover.Core.Moves;

/// <summary>Why a move is not begun. Nothing has changed.</summary>
/// <param name="Field">Which input of the request is at fault: `app`, `to`, `constraint`.</param>
/// <param name="Message">What is wrong, in one sentence for people.</param>
/// <param name="Remedy">What to do about it.</param>
public abstract record MoveRefusal(string Field, string Message, string Remedy)
{
    public sealed record UnknownApp(AppId App) : MoveRefusal("app", $"there is no app '{App}'", "list what there is with: drover apps");

    public sealed record UnknownNode(NodeId Node) : MoveRefusal("to", $"there is no node '{Node}'", "list what there is with: drover nodes");

    public sealed record NodeDown(NodeId Node)
        : MoveRefusal("to", $"node '{Node}' is not connected", "start its agent, or move to a node that `drover nodes` shows as connected");

    public sealed record NodeCordoned(NodeId Node) : MoveRefusal("to", $"node '{Node}' is cordoned and takes nothing new", "choose another node, or take the cordon away");

    public sealed record AlreadyThere(AppId App, NodeId Node) : MoveRefusal("to", $"app '{App}' is on node '{Node}' already", "nothing to do");

    public sealed record AlreadyMoving(AppId App, MoveId Move, NodeId Target)
        : MoveRefusal("app", $"app '{App}' is being moved to '{Target}' already (move {Move})", $"watch it with: drover move show {Move}");

    public sealed record DoesNotFit(AppId App, NodeId Node, EquatableList<string> Reasons)
        : MoveRefusal("to", $"app '{App}' does not fit on node '{Node}': {string.Join("; ", Reasons)}",
            "choose another node, free what is missing, or change the app's constraint in the same step with: drover move APP --constraint attribute=value");

    public sealed record NoNodeFits(AppId App, string Constraint, EquatableList<string> Reasons)
        : MoveRefusal("constraint", $"no node with {Constraint} takes app '{App}': {(Reasons.Count == 0 ? "there is none" : string.Join("; ", Reasons))}",
            "give a node that attribute, or free what is missing there");

    public sealed record NothingToMove(AppId App)
        : MoveRefusal("app", $"app '{App}' runs nowhere and its volumes are on no node", "wait until it runs, or scale it to one instance");

    public sealed record SeveralInstances(AppId App, int Count)
        : MoveRefusal("app", $"app '{App}' has {Count} instances; a move takes one", "change its constraints instead: its instances are then placed anew one by one");

    public sealed record SourceDown(AppId App, NodeId Node)
        : MoveRefusal("app", $"node '{Node}', where app '{App}' is, is not connected: its data cannot be read", "start the agent there; the data is safe on its disk");

    public sealed record VolumeLost(VolumeName Volume, NodeId Node)
        : MoveRefusal("app", $"the data of volume '{Volume}' is on node '{Node}', which the cluster does not know any more", "join that node again under its name");

    public sealed record VolumesApart(AppId App, VolumeName Volume, NodeId Node, NodeId Other)
        : MoveRefusal("app", $"the volumes of app '{App}' are on different nodes: '{Volume}' on '{Node}', others on '{Other}'", "move the other volumes' apps to one node first");

    public sealed record BeingDeployed(AppId App, DeploymentId Deployment)
        : MoveRefusal("app", $"app '{App}' is being changed by deployment {Deployment}", "wait until that is over: drover app show APP");

    public sealed record BadConstraint(string Given)
        : MoveRefusal("constraint", $"'{Given}' is no constraint", "write attribute=value, for example disk=ssd");

    public sealed record VolumeAtWork(VolumeName Volume, OperationId Operation, string What)
        : MoveRefusal("app", $"{What} of volume '{Volume}' is under way ({Operation})", $"wait for its end: drover volume show {Volume}");

    public sealed record SizeNotKept(VolumeName Volume, ByteCount Size, NodeId Node, string Driver)
        : MoveRefusal("to", $"volume '{Volume}' may grow to {Size}, and the {Driver} driver of node '{Node}' cannot keep it to that", "choose a node whose driver can, or say --without-sizes: the size stays the volume's and holds again where it can be kept");

    public sealed record VolumeMoving(VolumeName Volume, MoveId Move)
        : MoveRefusal("app", $"volume '{Volume}' is being moved already (move {Move})", $"wait for it: drover move show {Move}");
}
