using System.Globalization;

namespace Drover.Cli.Lab;

/// <summary>Lines with the seconds since the beginning.</summary>
public sealed class LabProgress(TextWriter output, TimeProvider time)
{
    private readonly long _begin = time.GetTimestamp();
    private readonly Lock _gate = new();

    public TimeProvider Time => time;

    public TimeSpan Elapsed => time.GetElapsedTime(_begin);

    public void Say(string line)
    {
        lock (_gate) output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Elapsed.TotalSeconds,6:0.0} s  {line}"));
    }

    public void Plain(string line)
    {
        lock (_gate) output.WriteLine(line);
    }
}
