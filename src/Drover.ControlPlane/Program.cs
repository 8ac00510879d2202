namespace Drover.ControlPlane;

public static class Program
{
    public static int Main(string[] args)
    {
        Console.Error.WriteLine($"drover-control: {args.Length} arguments");
        return 0;
    }
}
