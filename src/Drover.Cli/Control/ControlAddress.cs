using System.Text.Json;

namespace Drover.Cli.Control;

/// <summary>Where the control plane answers: `--control`, then `DROVER_CONTROL`, then this machine if something listens there, then the lab that is up.</summary>
public static class ControlAddress
{
    public const string Local = "http://127.0.0.1:8080";
    public const string LabRoot = "/var/lib/drover-lab";

    public static Uri Resolve(string? option, string? environment)
    {
        if (option is { Length: > 0 }) return Parse(option, "--control");
        if (environment is { Length: > 0 }) return Parse(environment, "DROVER_CONTROL");
        return new(LabAddress() ?? Local);
    }

    private static Uri Parse(string text, string where) =>
        Uri.TryCreate(text.Contains("://", StringComparison.Ordinal) ? text : $"http://{text}", UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"
            ? uri
            : throw new CommandFailure($"{where} '{text}' is no address: give something like http://172.16.255.250:8080", ExitCode.Usage);

    /// <summary>The control plane of the only lab on this machine, as its state file says.</summary>
    private static string? LabAddress()
    {
        if (!Directory.Exists(LabRoot)) return null;
        try
        {
            var files = Directory.GetDirectories(LabRoot).Select(folder => Path.Combine(folder, "lab.json")).Where(File.Exists).ToArray();
            if (files.Length == 0) return null;
            var preferred = files.FirstOrDefault(f => f.EndsWith("/lab/lab.json", StringComparison.Ordinal)) ?? files[0];
            using var lab = JsonDocument.Parse(File.ReadAllBytes(preferred));
            return lab.RootElement.TryGetProperty("control", out var control) ? control.GetString() : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            return null; // a lab half made or not ours to read: the default address says plainly that nothing answers
        }
    }
}
