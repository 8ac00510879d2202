using Drover.Contracts.Agent;

namespace Drover.Agent.Reconcile;

/// <summary>Where what this node sees goes: to control, as soon as there is a stream. Never blocks.</summary>
public interface IObservations
{
    /// <summary>Only the newest of each instance, volume and step's progress is kept while it cannot be sent.</summary>
    void Tell(FromAgent message);
}
