using Drover.Agent.Host;

namespace Drover.Agent.Link;

/// <summary>Tells this agent from any other that shows the same certificate: a copy of its disk, a second one started by mistake. The same for an agent that is started again.</summary>
public sealed class AgentSeat : IDisposable
{
    private readonly FileStream _held;

    private AgentSeat(string id, FileStream held) => (Id, _held) = (id, held);

    /// <summary>Start of the machine and number of a file there: a copied disk runs on another start, a copied folder has another number.</summary>
    public string Id { get; }

    /// <exception cref="OptionsInvalid">Another agent of this machine uses the folder.</exception>
    public static AgentSeat Take(string stateFolder, IBootClock clock)
    {
        Directory.CreateDirectory(stateFolder);
        var path = Path.Combine(stateFolder, "agent.lock");
        try
        {
            var held = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            return new($"{clock.BootId}/{Volumes.Native.FileNumber(path)}", held);
        }
        catch (IOException e) { throw new OptionsInvalid($"--state {stateFolder} is in use by another drover-agent ({e.Message}): stop that one, or give this one a folder of its own"); }
    }

    public void Dispose() => _held.Dispose();
}
