using System.Globalization;
using System.Net.NetworkInformation;

namespace Drover.Testing.Labs;

/// <summary>Labs of test runs: each run has names and networks of its own, so that two side by side do not meet; and the name says whose it is, so that a later one takes down what a dead one left.</summary>
public static class LabRun
{
    private const int PidDigits = 5;
    private const string Digits = "0123456789abcdefghijklmnopqrstuvwxyz";

    /// <param name="kind">Three letters or digits, the first a letter.</param>
    public static string NameOf(string kind, int pid)
    {
        if (kind.Length != 3) throw new ArgumentException($"'{kind}' must have three letters: a lab's name has at most nine", nameof(kind));
        Span<char> text = stackalloc char[PidDigits];
        for (var (i, left) = (PidDigits - 1, pid); i >= 0; i--, left /= 36) text[i] = Digits[left % 36];
        return $"{kind}{text}{Check(kind, pid)}";
    }

    public static string Name(string kind) => NameOf(kind, Environment.ProcessId);

    /// <summary>Whose it is; null: no run's of this kind. People's labs are never taken for one: the last letter must fit.</summary>
    public static int? OwnerOf(string kind, string lab)
    {
        if (lab.Length != kind.Length + PidDigits + 1 || !lab.StartsWith(kind, StringComparison.Ordinal)) return null;
        var pid = 0;
        foreach (var digit in lab.AsSpan(kind.Length, PidDigits))
        {
            if (Digits.IndexOf(digit, StringComparison.Ordinal) is >= 0 and var value) pid = (pid * 36) + value;
            else return null;
        }
        return NameOf(kind, pid) == lab ? pid : null;
    }

    /// <summary>Those of these labs whose run is no more.</summary>
    public static IReadOnlyList<string> Dead(string kind, IEnumerable<string> labs, Func<int, bool> lives) => [.. labs.Where(lab => OwnerOf(kind, lab) is { } pid && !lives(pid))];

    /// <summary>A test run of ours has this number: it may have been given to another process since.</summary>
    public static bool Lives(int pid)
    {
        try { return File.ReadAllText($"/proc/{pid}/cmdline").Contains("Drover.", StringComparison.Ordinal); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return false; }
    }

    /// <summary>The first three numbers of networks of 256 addresses that this machine has nothing in, such as `172.30.77`; begins where other runs probably do not.</summary>
    public static IReadOnlyList<string> FreeNetworks(int count)
    {
        var taken = NetworkInterface.GetAllNetworkInterfaces().SelectMany(i => i.GetIPProperties().UnicastAddresses).Select(a => a.Address.ToString()).ToList();
        var free = Enumerable.Range(0, 256).Select(n => string.Create(CultureInfo.InvariantCulture, $"172.30.{(n + Environment.ProcessId * count) % 256}"))
            .Where(net => !taken.Any(address => address.StartsWith(net + ".", StringComparison.Ordinal))).Take(count).ToList();
        return free.Count == count ? free : throw new InvalidOperationException("172.30.0.0/16 has no free network left: take down labs that are not needed, `drover lab status` lists them");
    }

    private static char Check(string kind, int pid) => Digits[(int)(kind.Aggregate(pid * 31L, (sum, c) => (sum * 7) + c) % 36)];
}
