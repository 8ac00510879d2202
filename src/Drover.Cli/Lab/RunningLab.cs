using System.Text.Json;

namespace Drover.Cli.Lab;

/// <summary>For commands that look for a control plane: the lab that is up on this machine.</summary>
public static class RunningLab
{
    /// <summary>Null when there is none, or more than one and none is called `lab`. Needs no root.</summary>
    public static Uri? ControlUrl()
    {
        var labs = LabLayout.Existing();
        var name = labs.Contains(LabPlan.DefaultName) ? LabPlan.DefaultName : labs.Count == 1 ? labs[0] : null;
        if (name is null) return null;
        try
        {
            return LabRecord.Find(new(name)) is { } record ? new(record.ControlUrl) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or LabException or JsonException)
        {
            return null; // a lab that is being made or removed right now is not up
        }
    }
}
