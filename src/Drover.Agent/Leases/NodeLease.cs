using Drover.Agent.Guard;
using Drover.Agent.Host;
using Drover.Agent.Volumes;
using Drover.Contracts.Agent;
using Drover.Core;
using Drover.Core.Nodes;

namespace Drover.Agent.Leases;

/// <summary>The node's lease: renewed on the stream to control, shared with the guard through its file, found there again by an agent that is started again.</summary>
public sealed class NodeLease : IWriteRight
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(20);
    private const int Steps = 100, StepsBetweenStarts = 25; // two seconds, half a second
    private static readonly TimeSpan ClaimsAreYoung = TimeSpan.FromMinutes(10);

    private readonly Lock _gate = new();
    private readonly GuardFile _file;
    private readonly IGuardProcess _guard;
    private readonly IBootClock _clock;
    private readonly IVolumeDriver _volumes;
    private readonly TimeProvider _time;
    private readonly LeaseMeters? _meters;
    private GuardState _state;
    private HeldLease _held = HeldLease.None;
    private readonly Dictionary<object, TimeSpan> _claimedAt = [];
    private bool _stopping;

    public NodeLease(GuardFile file, IGuardProcess guard, IBootClock clock, IVolumeDriver volumes, TimeProvider time, LeaseMeters? meters = null)
    {
        (_file, _guard, _clock, _volumes, _time, _meters) = (file, guard, clock, volumes, time, meters);
        var start = file.StartOf(clock);
        _state = new(start, TimeSpan.Zero, TimeSpan.Zero, [], []);
        if (file.Read() is not { } before || before.Start != start) return;
        _state = before;
        if (before.Length > TimeSpan.Zero) _held = new(new(before.Length), before.EndsAt - before.Length);
    }

    public event Action? Gained;

    public HeldLease Held { get { lock (_gate) return _held; } }

    /// <summary>Its writers are to be stopped now: until <see cref="Gained"/> nothing is started.</summary>
    public bool MustStop
    {
        get { lock (_gate) return !_held.MayStart(_clock.Now); }
    }

    public TimeSpan Now => _clock.Now;

    public LeaseRequest Ask() => new() { AskedAtUs = (long)_clock.Now.TotalMicroseconds };

    /// <summary>Control's answer. The guard learns of it first.</summary>
    public async Task Take(LeaseGrant grant, CancellationToken cancel)
    {
        var gained = false;
        // The guard may be stopping writers of the lease before: then this one begins when that is over.
        for (var step = 0; step < Steps; step++)
        {
            using (var turn = _file.TryLock())
            {
                if (turn is not null || step == Steps - 1)
                {
                    lock (_gate)
                    {
                        var could = _held.MayStart(_clock.Now) && !_stopping;
                        var next = _held.Granted(TimeSpan.FromMicroseconds(grant.AskedAtUs), new(TimeSpan.FromMilliseconds(grant.LengthMs)));
                        // Where the guard cannot be told (the disk is full), the agent has no longer lease either, and stops its writers with their grace before the guard would kill them.
                        Share(_state with { EndsAt = next.EndsAt!.Value, Length = next.Terms.Length });
                        _meters?.Granted(anew: _held.HasEnded(_clock.Now));
                        _held = next;
                        gained = !could && _held.MayStart(_clock.Now);
                        if (gained) _stopping = false;
                    }
                    break;
                }
            }
            await Task.Delay(Step, _time, cancel);
        }
        if (gained) Gained?.Invoke();
    }

    public async Task<string?> Claim(IReadOnlyCollection<(VolumeName Name, Epoch Epoch)> volumes, string container, CancellationToken cancel)
    {
        if (volumes.Count == 0) return null;
        lock (_gate)
        {
            var named = volumes.Select(Guarded);
            foreach (var volume in volumes) _claimedAt[volume] = _clock.Now;
            if (container.Length > 0) _claimedAt[container] = _clock.Now;
            Share(_state with { Volumes = _state.Volumes.Union(named).OrderBy(v => v.Name).ThenBy(v => v.Epoch).ToEquatableList(), Containers = With(container) });
        }
        if (!await Guarded(cancel)) return "the lease guard does not run and could not be started: containers with volumes are not started without it; see the agent's log";
        lock (_gate) return _stopping || !_held.MayStart(_clock.Now) ? Refusal() : null;
    }

    /// <summary>Writers are being stopped: even a grant that comes now begins only when they are told of it by <see cref="Gained"/>.</summary>
    /// <returns>False: the lease is good (again), nothing is to be stopped.</returns>
    public bool BeginStop()
    {
        lock (_gate) return _stopping = !_held.MayStart(_clock.Now);
    }

    /// <summary>Has a guard run. False: there is none.</summary>
    public async Task<bool> Guarded(CancellationToken cancel)
    {
        for (var step = 0; !_guard.Runs; step++)
        {
            if (step == Steps) return false;
            // Again where the one just started was ended at once.
            if (step % StepsBetweenStarts == 0) _guard.Start();
            await Task.Delay(Step, _time, cancel);
        }
        return true;
    }

    /// <summary>What can write by what is known now; other entries of the list go, except young ones: what they were claimed for is under way.</summary>
    public void Keep(IReadOnlySet<(VolumeName Name, Epoch Epoch)> volumes, IReadOnlySet<string> containers)
    {
        lock (_gate)
        {
            var old = _clock.Now - ClaimsAreYoung;
            foreach (var (claimed, at) in _claimedAt.ToList()) if (at < old) _claimedAt.Remove(claimed);
            Share(_state with
            {
                Volumes = _state.Volumes.Where(v => volumes.Contains((v.Name, v.Epoch)) || _claimedAt.ContainsKey((v.Name, v.Epoch))).ToEquatableList(),
                Containers = _state.Containers.Where(c => containers.Contains(c) || _claimedAt.ContainsKey(c)).ToEquatableList(),
            });
        }
    }

    /// <summary>Containers that run already, of an agent before this one, that its list may lack.</summary>
    public void Adopt(IReadOnlySet<(VolumeName Name, Epoch Epoch)> volumes, IReadOnlySet<string> containers)
    {
        lock (_gate)
            Share(_state with
            {
                Volumes = _state.Volumes.Union(volumes.Select(Guarded)).OrderBy(v => v.Name).ThenBy(v => v.Epoch).ToEquatableList(),
                Containers = _state.Containers.Union(containers).Order(StringComparer.Ordinal).ToEquatableList(),
            });
    }

    private GuardedVolume Guarded((VolumeName Name, Epoch Epoch) volume) => new(volume.Name, volume.Epoch, _volumes.SealPath(volume.Name, volume.Epoch) ?? "");

    private EquatableList<string> With(string container) =>
        container.Length == 0 || _state.Containers.Items.Contains(container) ? _state.Containers : _state.Containers.Append(container).Order(StringComparer.Ordinal).ToEquatableList();

    private void Share(GuardState next)
    {
        if (next == _state) return;
        _file.Write(next);
        _state = next;
    }

    private string Refusal() => _held.EndsAt is null
        ? "no lease of this node yet: waiting for the control plane to grant one"
        : "the lease of this node ran out, it may not write volumes: waiting for the control plane to be reached again";
}
