namespace Drover.Agent;

public static class Program
{
    public static int Main(string[] args)
    {
        Console.Error.WriteLine($"drover-agent: {args.Length} arguments");
        return 0;
    }
}
