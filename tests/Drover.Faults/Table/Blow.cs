using Drover.Faults.Lab;

namespace Drover.Faults.Table;

/// <summary>Does faults to the lab and puts it right again.</summary>
public sealed class Blow(FaultLab lab, string source, string target)
{
    private const string Image = "binocarlos/powerstrip-mesosphere-demo:latest", Kept = "kept-for-faults:latest";
    private const string Master = "master", Control = "control", Agent = "agent", Dockerd = "dockerd", Guard = "guard";
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
            case Fault.KillSend: lab.Signal(source, "btrfs", Kill); break;
            case Fault.KillReceive: lab.Signal(target, "btrfs", Kill); break;
            case Fault.KillSourceDocker: lab.Signal(source, Dockerd, Kill); break;
            case Fault.KillTargetDocker: lab.Signal(target, Dockerd, Kill); break;
            case Fault.CutAgents: await lab.Cut(source, target, cancel); break;
            case Fault.CutSourceFromControl: await lab.Cut(source, Master, cancel); break;
            case Fault.CutTargetFromControl: await lab.Cut(target, Master, cancel); break;
            case Fault.CutSource:
                await lab.Cut(source, Master, cancel);
                await lab.HealLinks(cancel); // one table a machine: made anew with both
                await lab.Cut(source, Master, cancel);
                await lab.Cut(source, target, cancel);
                break;
            case Fault.TargetFull: await lab.Fill(target, cancel); break;
            case Fault.SourceFull: await lab.Fill(source, cancel); break;
            case Fault.StartFails: lab.Points.Arm(target, "start-fails", "on"); break;
            case Fault.ImageGone:
                await lab.Docker(target, ["tag", Image, Kept], cancel);
                await lab.Docker(target, ["rmi", "--force", Image], cancel);
                break;
            case Fault.CorruptFrame: lab.Points.Arm(source, "corrupt-frame", "on"); break;
            case Fault.TruncatedStream: lab.Points.Arm(source, "truncate-stream", "on"); break;
            case Fault.StoreFails: lab.Points.Arm("control", "store.commit", "fail disk I/O error"); break;
            default: throw new ArgumentOutOfRangeException(nameof(fault), fault, "not known");
        }
    }

    public static TimeSpan Lasts(Fault fault) => fault switch
    {
        Fault.None or Fault.KillSend or Fault.KillReceive or Fault.StartFails or Fault.CorruptFrame or Fault.TruncatedStream => TimeSpan.Zero,
        Fault.KillControl or Fault.KillSource or Fault.KillTarget or Fault.KillSourceDocker or Fault.KillTargetDocker or Fault.KillGuards => Short,
        _ => Lasting,
    };

    public async Task PutRight(CancellationToken cancel)
    {
        lab.Points.Release("control", "store.commit");
        foreach (var node in lab.Nodes)
            foreach (var bend in new[] { "start-fails", "corrupt-frame", "truncate-stream" }) lab.Points.Release(node, bend);
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
