namespace Drover.Cli;

public static class Program
{
    public static int Main(string[] args)
    {
        Console.Error.WriteLine($"drover: {args.Length} arguments");
        return 0;
    }
}
