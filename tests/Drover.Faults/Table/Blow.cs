using Drover.Faults.Lab;

namespace Drover.Faults.Table;

/// <summary>Does faults to the lab and puts it right again.</summary>
public sealed class Blow(FaultLab lab, string source, string target)
{
    private const string Image = "binocarlos/powerstrip-mesosphere-demo:latest", Kept = "kept-for-faults:latest";
    private const string Master = "master", Control = "control", Agent = "agent", Dockerd = "dockerd", Guard = "guard";
    private const string StartFails = "start-fails", CorruptFrame = "corrupt-frame", TruncateStream = "truncate-stream", SendDies = "send-dies", ReceiveDies = "receive-dies", Commit = "store.commit";
    private const int Kill = 9, Stop = 19, Continue = 18;

    /// <summary>How long a fault that holds on is held on: long enough for what watches it to act.</summary>
    private static readonly TimeSpan Lasting = TimeSpan.FromSeconds(2), Short = TimeSpan.FromMilliseconds(300);

    public async Task Strike(Fault fault, CancellationToken cancel)
    {
        switch (fault)
        {
            case Fault.None: break;
            case Fault.KillControl: lab.Signal(Master, Control, Kill); break;
            case Fault.KillSource: lab.Signal(source, Agent, Kill); break;
            case Fault.KillTarget: lab.Signal(target, Agent, Kill); break;
            case Fault.StopControl: lab.Signal(Master, Control, Stop); break;
            case Fault.StopSource: lab.Signal(source, Agent, Stop); break;
            case Fault.StopTarget: lab.Signal(target, Agent, Stop); break;
            case Fault.KillGuards: foreach (var node in lab.Nodes) lab.Signal(node, Guard, Kill); break;
            case Fault.StopGuards: foreach (var node in lab.Nodes) lab.Signal(node, Guard, Stop); break;
            case Fault.KillSend: KillOrArm(source, SendDies); break;
            case Fault.KillReceive: KillOrArm(target, ReceiveDies); break;
            case Fault.KillSourceDocker: lab.Signal(source, Dockerd, Kill); break;
            case Fault.KillTargetDocker: lab.Signal(target, Dockerd, Kill); break;
            case Fault.RebootSource: await lab.PowerOff(source, cancel); break;
            case Fault.RebootTarget: await lab.PowerOff(target, cancel); break;
            case Fault.CutAgents: await lab.Cut(source, target, cancel); break;
            case Fault.CutSourceFromControl: await lab.Cut(source, Master, cancel); break;
            case Fault.CutTargetFromControl: await lab.Cut(target, Master, cancel); break;
            case Fault.CutControl:
                await lab.Cut(source, Master, cancel);
                await lab.Cut(target, Master, cancel);
                break;
            case Fault.CutSource:
                await lab.Cut(source, Master, cancel);
                await lab.Cut(source, target, cancel);
                break;
            case Fault.CutTarget:
                await lab.Cut(target, Master, cancel);
                await lab.Cut(target, source, cancel);
                break;
            case Fault.TargetFull: await lab.Fill(target, cancel); break;
            case Fault.SourceFull: await lab.Fill(source, cancel); break;
            case Fault.StartFails: lab.Points.Arm(target, StartFails, "on"); break;
            case Fault.ImageGone:
                await lab.Docker(target, ["tag", Image, Kept], cancel);
                await lab.Docker(target, ["rmi", "--force", Image], cancel);
                break;
            case Fault.CorruptFrame: lab.Points.Arm(source, CorruptFrame, "on"); break;
            case Fault.TruncatedStream: lab.Points.Arm(source, TruncateStream, "on"); break;
            case Fault.StoreFails: lab.Points.Arm(Control, Commit, "fail disk I/O error"); break;
            default: throw new ArgumentOutOfRangeException(nameof(fault), fault, "not known");
        }
    }

    /// <summary>Where a program sends and receives, that is killed; where the agent does it itself, its stream dies as it would then.</summary>
    private void KillOrArm(string node, string bend)
    {
        // Where the agent does it itself there is no program: always on folders, and with a last difference on btrfs.
        if (lab.KindOf(node).Program is not { } program || !lab.Signal(node, program, Kill)) lab.Points.Arm(node, bend, "on");
    }

    /// <summary>When a fault that was only switched on has struck; null: it struck when it was done, or has not yet.</summary>
    public DateTimeOffset? StruckAt(Fault fault) => fault switch
    {
        Fault.CorruptFrame => lab.Points.FirstReached(source, CorruptFrame),
        Fault.TruncatedStream => lab.Points.FirstReached(source, TruncateStream),
        Fault.KillSend => lab.Points.FirstReached(source, SendDies),
        Fault.KillReceive => lab.Points.FirstReached(target, ReceiveDies),
        Fault.StartFails => lab.Points.FirstReached(target, StartFails),
        Fault.StoreFails => lab.Points.FirstReached(Control, Commit),
        _ => null,
    };

    /// <summary>The source itself is struck: nobody can make it serve before that has passed.</summary>
    public static bool HitsSource(Fault fault) => fault is Fault.KillSource or Fault.StopSource or Fault.KillSourceDocker or Fault.RebootSource or Fault.CutSourceFromControl or Fault.CutSource or Fault.CutControl
        or Fault.SourceFull or Fault.KillControl or Fault.StopControl or Fault.StoreFails;

    public static TimeSpan Lasts(Fault fault) => fault switch
    {
        Fault.None or Fault.KillSend or Fault.KillReceive or Fault.StartFails or Fault.CorruptFrame or Fault.TruncatedStream => TimeSpan.Zero,
        Fault.KillControl or Fault.KillSource or Fault.KillTarget or Fault.KillSourceDocker or Fault.KillTargetDocker or Fault.KillGuards or Fault.RebootSource or Fault.RebootTarget => Short,
        _ => Lasting,
    };

    public async Task PutRight(CancellationToken cancel)
    {
        lab.Points.Release(Control, Commit);
        foreach (var node in lab.Nodes)
            foreach (var bend in new[] { StartFails, CorruptFrame, TruncateStream, SendDies, ReceiveDies }) lab.Points.Release(node, bend);
        lab.Signal(Master, Control, Continue);
        foreach (var node in lab.Nodes)
        {
            lab.Signal(node, Agent, Continue);
            lab.Signal(node, Guard, Continue);
            await lab.Empty(node, cancel);
        }
        await lab.HealLinks(cancel);
        await lab.StartMissing(cancel);
        if ((await lab.Docker(target, ["image", "inspect", Kept], cancel)).Ok)
        {
            await lab.Docker(target, ["tag", Kept, Image], cancel);
            await lab.Docker(target, ["rmi", Kept], cancel);
        }
    }
}
