namespace Drover.Cli.Lab;

/// <summary>Drover's own programs, found beside this one.</summary>
public sealed record LabPrograms(string Control, string Agent)
{
    /// <summary>Published (`bin/drover`, `bin/drover-control`, …) or just built (`bin/Drover.ControlPlane/debug`, …); `DROVER_PROGRAMS` names another folder.</summary>
    public static LabPrograms Find()
    {
        var here = AppContext.BaseDirectory.TrimEnd('/');
        var flavour = Path.GetFileName(here);
        string[] folders = [
            .. Environment.GetEnvironmentVariable("DROVER_PROGRAMS") is { Length: > 0 } given ? new[] { given } : [],
            Path.GetDirectoryName(here)!, Path.GetDirectoryName(Path.GetDirectoryName(here)!) ?? "/"];
        return new(One("drover-control", "Drover.ControlPlane"), One("drover-agent", "Drover.Agent"));

        string One(string program, string project) =>
            folders.SelectMany(f => new[] { Path.Combine(f, project, flavour, program), Path.Combine(f, program, program) }).FirstOrDefault(File.Exists)
            ?? throw new LabException($"{program} is not beside this program ({here}): run eng/setup.sh, or name the folder that holds it in DROVER_PROGRAMS");
    }
}
