namespace Drover.Agent.Networks.Vxlan;

/// <summary>The kernel's interfaces in the network namespace of the calling thread, without starting a program.</summary>
public interface ILinks
{
    /// <summary>0: there is no interface of this name.</summary>
    int IndexOf(string name);

    /// <summary>Sends one whole Ethernet frame.</summary>
    /// <exception cref="InvalidOperationException">No such interface, it is down, or the process may not open packet sockets.</exception>
    void Send(string name, ReadOnlySpan<byte> frame);
}
