namespace Drover.Faults.History;

/// <summary>What a whole run came to; the last four lines of its output.</summary>
public sealed class Tally
{
    public int Tried { get; private set; }
    public int Survived { get; private set; }
    public int Lost { get; set; }
    public int TwoWriters { get; set; }
    public int NoCopy { get; set; }

    public void Count(bool survived)
    {
        Tried++;
        if (survived) Survived++;
    }

    public bool Good => Tried > 0 && Survived == Tried && Lost + TwoWriters + NoCopy == 0;

    public IEnumerable<string> Lines() =>
    [
        $"faults survived {Survived}/{Tried}",
        $"acknowledged writes lost {Lost}",
        $"moments with two writers {TwoWriters}",
        $"moments with no complete copy {NoCopy}",
    ];
}
