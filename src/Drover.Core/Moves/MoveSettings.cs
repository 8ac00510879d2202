using System.Globalization;
using Drover.Core.Apps;

namespace Drover.Core.Moves;

/// <summary>How an app wants to be moved, as its labels say.</summary>
public static class MoveSettings
{
    public const string DowntimeTargetLabel = "drover.downtimeTargetMs";
    public const string PolicyLabel = "drover.movePolicy";
    public const string QuiesceLabel = "drover.quiesce";
    public const string PreStopLabel = "drover.preStop";
    public const string PreStopSecondsLabel = "drover.preStopSeconds";
    public const string PreStopFailureLabel = "drover.preStopFailure";

    public const int MostMilliseconds = 3_600_000;
    private const int MostPreStopSeconds = 3600;
    private const int LongestCommand = 4096;
    private static readonly TimeSpan PreStopLimit = TimeSpan.FromSeconds(60);

    /// <summary>What cannot be read is as if it were not there: an app with such labels is refused before it comes to be.</summary>
    public static MovePolicy Of(AppSpec spec)
    {
        var policy = MovePolicy.Default;
        return policy with
        {
            DowntimeTarget = Whole(Label(spec, DowntimeTargetLabel), MostMilliseconds) is { } ms ? TimeSpan.FromMilliseconds(ms) : policy.DowntimeTarget,
            NonConvergence = Policy(Label(spec, PolicyLabel)) ?? policy.NonConvergence,
            Quiesce = QuiesceOf(Label(spec, QuiesceLabel)) ?? policy.Quiesce,
            PreStop = Command(spec),
        };
    }

    /// <summary>Labels that cannot be honoured, each with what it may be.</summary>
    public static IEnumerable<(string Label, string Message)> Faults(AppSpec spec)
    {
        if (Label(spec, DowntimeTargetLabel) is { } target && Whole(target, MostMilliseconds) is null)
            yield return (DowntimeTargetLabel, $"must be whole milliseconds from 1 to {MostMilliseconds}; it was '{target}'");
        if (Label(spec, PolicyLabel) is { } policy && Policy(policy) is null) yield return (PolicyLabel, $"must be cut, throttle, wait or abort; it was '{policy}'");
        if (Label(spec, QuiesceLabel) is { } quiesce && QuiesceOf(quiesce) is null) yield return (QuiesceLabel, $"must be stop or freeze; it was '{quiesce}'");
        var command = Label(spec, PreStopLabel);
        if (command is not null && (string.IsNullOrWhiteSpace(command) || command.Length > LongestCommand))
            yield return (PreStopLabel, $"must be a command of 1 to {LongestCommand} characters, run by /bin/sh -c in the container; take the label out for none");
        if (Label(spec, PreStopSecondsLabel) is { } seconds && Whole(seconds, MostPreStopSeconds) is null)
            yield return (PreStopSecondsLabel, $"must be whole seconds from 1 to {MostPreStopSeconds}; it was '{seconds}'");
        if (Label(spec, PreStopFailureLabel) is { } failure && failure is not ("goOn" or "abort")) yield return (PreStopFailureLabel, $"must be goOn or abort; it was '{failure}'");
        foreach (var lonely in (string[])[PreStopSecondsLabel, PreStopFailureLabel])
            if (command is null && Label(spec, lonely) is not null) yield return (lonely, $"says how {PreStopLabel} is run, and that is not given; give both or none");
    }

    public static NonConvergence? Policy(string? text) => text switch
    {
        "cut" => NonConvergence.Cut, "throttle" => NonConvergence.Throttle, "wait" => NonConvergence.Wait, "abort" => NonConvergence.Abort, _ => null,
    };

    public static Quiesce? QuiesceOf(string? text) => text switch { "stop" => Quiesce.Stop, "freeze" => Quiesce.Freeze, _ => null };

    public static string Word(NonConvergence policy) => policy.ToString().ToLowerInvariant();

    public static string Word(Quiesce quiesce) => quiesce.ToString().ToLowerInvariant();

    private static PreStop? Command(AppSpec spec) => Label(spec, PreStopLabel) is { } command && !string.IsNullOrWhiteSpace(command)
        ? new(command, Whole(Label(spec, PreStopSecondsLabel), MostPreStopSeconds) is { } s ? TimeSpan.FromSeconds(s) : PreStopLimit, Label(spec, PreStopFailureLabel) == "abort")
        : null;

    private static string? Label(AppSpec spec, string name) => spec.Labels.Items.FirstOrDefault(l => l.Name == name)?.Value;

    private static int? Whole(string? text, int most) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= 1 && value <= most ? value : null;
}

/// <summary>What one move is asked to do otherwise than its app's labels say; null: as they say.</summary>
public sealed record MoveOverrides(TimeSpan? DowntimeTarget, NonConvergence? NonConvergence, Quiesce? Quiesce, long? BytesPerSecond)
{
    public static readonly MoveOverrides None = new(null, null, null, null);

    public MovePolicy Over(MovePolicy policy) => policy with
    {
        DowntimeTarget = DowntimeTarget ?? policy.DowntimeTarget,
        NonConvergence = NonConvergence ?? policy.NonConvergence,
        Quiesce = Quiesce ?? policy.Quiesce,
        BytesPerSecond = BytesPerSecond ?? policy.BytesPerSecond,
    };
}
