using System.Net;

namespace Drover.Agent.Transfers;

/// <summary>
/// Connections that have not shown yet who they are and what they may: between accept and a ticket that was looked at. They are bounded apart from transfers, in number, time and by address, so that
/// whoever keeps silent costs no transfer its place. Where there are too many, the one that has stood longest goes: an honest one takes milliseconds.
/// </summary>
internal sealed class Doorway(int most, int mostOfOne, TimeSpan patience, TimeProvider time)
{
    /// <summary>An agent of the cluster dials before it seals and takes its snapshots, several volumes at once: it is given the time that takes.</summary>
    public static readonly TimeSpan PatienceWithKnown = TimeSpan.FromMinutes(2);
    private const int MostKnown = 256;
    private readonly Lock _gate = new();
    /// <summary>The longest waiting first.</summary>
    private readonly List<Visit> _visits = [];
    /// <summary>Those that have shown a certificate of this cluster, the longest waiting first.</summary>
    private readonly List<Visit> _known = [];
    private static readonly TimeSpan BetweenWords = TimeSpan.FromSeconds(10);
    private long? _told;
    private int _untold;

    public int Count { get { lock (_gate) return _visits.Count + _known.Count; } }

    public Visit Enter(IPAddress from, CancellationToken cancel)
    {
        var mine = new Visit(this, from, patience, time, cancel);
        Visit? goes;
        lock (_gate)
        {
            goes = TooMany(from);
            if (goes is not null) _visits.Remove(goes);
            _visits.Add(mine);
        }
        goes?.SendAway();
        return mine;
    }

    /// <summary>Who goes for one more of this address; null: there is room.</summary>
    private Visit? TooMany(IPAddress from)
    {
        if (_visits.Count(v => v.From.Equals(from)) >= mostOfOne) return _visits.First(v => v.From.Equals(from));
        if (_visits.Count < most) return null;
        // Of the address that has most: few of many addresses do not push out one of another.
        var greediest = _visits.CountBy(v => v.From).MaxBy(of => of.Value).Key;
        return _visits.First(v => v.From.Equals(greediest));
    }

    private void Recognised(Visit visit)
    {
        Visit? goes = null;
        lock (_gate)
        {
            if (!_visits.Remove(visit)) return;
            if (_known.Count >= MostKnown) _known.Remove(goes = _known[0]);
            _known.Add(visit);
        }
        goes?.SendAway();
    }

    /// <summary>Whether a stranger's failure may be written down: one in ten seconds, so that the log is not his to fill.</summary>
    /// <param name="untold">Those since the last.</param>
    public bool MayTell(out int untold)
    {
        lock (_gate)
        {
            untold = _untold;
            if (_told is { } at && time.GetElapsedTime(at) < BetweenWords) { _untold++; return false; }
            (_told, _untold) = (time.GetTimestamp(), 0);
            return true;
        }
    }

    internal sealed class Visit : IDisposable
    {
        private readonly Doorway _door;
        private readonly CancellationTokenSource _limit, _both;
        private volatile bool _sentAway, _left;

        public Visit(Doorway door, IPAddress from, TimeSpan patience, TimeProvider time, CancellationToken cancel)
        {
            (_door, From) = (door, from);
            _limit = new(patience, time);
            _both = CancellationTokenSource.CreateLinkedTokenSource(_limit.Token, cancel);
            Ended = _both.Token;
        }

        public IPAddress From { get; }
        public CancellationToken Ended { get; }
        /// <summary>It is no transfer yet.</summary>
        public bool IsStranger => !_left;

        /// <summary>What a visit that came to nothing is called in the log.</summary>
        public string Why => _sentAway ? "it stood at the door while too many others came" : "it did not say in time who it is and what it brings";

        /// <summary>It has shown a certificate of this cluster: it stands in nobody's way, and need not hurry so.</summary>
        public void Recognise()
        {
            try { _limit.CancelAfter(PatienceWithKnown); }
            catch (ObjectDisposedException) { return; }
            _door.Recognised(this);
        }

        public void SendAway()
        {
            _sentAway = true;
            try { _limit.Cancel(); }
            catch (ObjectDisposedException) { /* it left by itself meanwhile: what we wanted */ }
        }

        /// <summary>It went, or it is a transfer now and counted as one.</summary>
        public void Dispose()
        {
            _left = true;
            lock (_door._gate) if (!_door._visits.Remove(this)) _door._known.Remove(this);
            _both.Dispose();
            _limit.Dispose();
        }
    }
}
