using Drover.Contracts.Agent;
using Drover.ControlPlane.Tests.Api;
using Drover.Core;
using Drover.Core.State;
using Drover.Core.Volumes;
using Drover.Testing;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace Drover.ControlPlane.Tests.Volumes;

/// <summary>The control plane's part of an export: what is taken for it goes again, and one hand at a time writes its answer.</summary>
public sealed class VolumeExportTests : IAsyncLifetime
{
    private static readonly VolumeName Data = new("data");

    private Doors _doors = null!;

    public async ValueTask InitializeAsync() => _doors = await Doors.Open(
    [
        .. Doors.RunningMongo(),
        new ClusterChange.PutVolume(new Volume(Data, new("node1"), new(1), true, null, null, Samples.Moment) { Snapshots = [new(new("good"), new("node1"), new(1), Samples.Moment, new(77), SnapshotOrigin.Asked)] }),
    ]);

    public ValueTask DisposeAsync() => _doors.DisposeAsync();

    private TestCluster Cluster => _doors.Cluster;

    private async Task<VolumeOperation> Open(VolumeVerb verb) =>
        (await Cluster.Until(s => s.OpenOperationOf(Data)?.Verb == verb, $"the {verb}")).OpenOperationOf(Data)!;

    private Task End(VolumeOperation operation, Func<ClusterState, Decision<VolumeAnswer>>? andThen = null) => Cluster.Decide(state =>
    {
        var ended = VolumeMachine.Take(state, operation, new VolumeEvent.Done(new(9)), Cluster.Time.GetUtcNow());
        return Decision.Of(true, [.. ended.Changes, .. andThen is null ? [] : andThen(state.Apply(ended.Changes)).Changes]);
    });

    private Task Export(CancellationToken gone = default)
    {
        var context = new DefaultHttpContext { RequestAborted = gone };
        (context.Request.Method, context.Request.Path) = ("GET", "/api/v1/volumes/data/export");
        return _doors.Api.Answer(context);
    }

    [Fact]
    public async Task The_snapshot_of_a_client_that_went_away_while_it_was_taken_goes_too()
    {
        using var client = new CancellationTokenSource();
        var export = Export(client.Token);
        var taking = await Open(VolumeVerb.Snapshot);
        await client.CancelAsync();
        Assert.False(export.IsCompleted);
        await End(taking);
        Assert.Equal(taking.Snapshot, Assert.Single((await Open(VolumeVerb.Drop)).Drops));
        await export.WaitAsync(TestCluster.Patience);
    }

    [Fact]
    public async Task A_snapshot_that_cannot_go_at_once_goes_when_what_is_under_way_has_ended()
    {
        // The cluster takes the node for connected; the way to it has just broken, and so nothing is sent.
        _doors.Agents.Away.Add(new("node1"));
        var export = Export();
        var taking = await Open(VolumeVerb.Snapshot);
        await End(taking, state => VolumeRequests.Resize(state, Data, ByteCount.GiB(1), new("r1"), Cluster.Time.GetUtcNow()));
        await End(await Open(VolumeVerb.Resize));
        Assert.Equal(taking.Snapshot, Assert.Single((await Open(VolumeVerb.Drop)).Drops));
        await export.WaitAsync(TestCluster.Patience);
    }

    [Fact]
    public async Task A_snapshot_that_could_not_be_taken_leaves_nothing_to_drop()
    {
        var export = Export();
        var taking = await Open(VolumeVerb.Snapshot);
        await Cluster.Decide(s => VolumeMachine.Take(s, taking, new VolumeEvent.Failed(Core.Moves.StepFailure.Operator, "no"), Cluster.Time.GetUtcNow()));
        await export.WaitAsync(TestCluster.Patience);
        Assert.Empty(Cluster.Current.OpenOperations);
    }

    [Fact]
    public async Task A_node_that_writes_while_the_export_is_given_up_makes_no_second_body_of_the_refusal()
    {
        _doors.Agents.Step = step =>
        {
            var open = _doors.Streams.Find(step.ExportVolume.StreamId)!;
            Assert.True(open.Take());
            open.Over.Register(() => _ = Late());
            return Task.FromResult(new StepResult { Error = "the disk says no", ErrorKind = StepErrorKind.Operator });

            async Task Late()
            {
                await open.To!.WriteAsync(new byte[100]);
                open.End(new IOException("over"));
            }
        };
        // Begun and broken off: no file, and no words either that could be taken for one's end.
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => _doors.Http.GetAsync("/api/v1/volumes/data/export?snapshot=good"));
    }

    [Fact]
    public async Task A_node_that_does_not_begin_is_refused_and_comes_too_late_then()
    {
        var id = "";
        _doors.Agents.Step = step =>
        {
            id = step.ExportVolume.StreamId;
            return new TaskCompletionSource<StepResult>().Task;
        };
        var export = _doors.Send("GET", "/api/v1/volumes/data/export?snapshot=good");
        while (!export.IsCompleted)
        {
            Cluster.Time.Advance(TimeSpan.FromSeconds(30));
            await Task.Yield();
        }
        var (status, body, whole) = await export;
        Assert.Equal((409, false), (status, whole.Content.Headers.Contains("Content-Disposition")));
        Assert.Contains("did not begin within 30 s", body.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Null(_doors.Streams.Find(id));
    }

    [Fact]
    public async Task A_stream_that_is_over_is_over_however_often_that_is_said()
    {
        var open = _doors.Streams.Offer("x", System.IO.Pipelines.PipeReader.Create(Stream.Null));
        await open.DisposeAsync();
        await open.DisposeAsync();
        Assert.False(open.Take());
    }
}
