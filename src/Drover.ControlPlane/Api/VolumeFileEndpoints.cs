using System.Globalization;
using System.IO.Pipelines;
using System.Text.Json;
using Drover.Contracts.Agent;
using Drover.Contracts.Api;
using Drover.Contracts.Volumes;
using Drover.ControlPlane.Agents;
using Drover.ControlPlane.Volumes;
using Drover.Core;
using Drover.Core.State;
using Drover.Core.Volumes;
using Microsoft.AspNetCore.Http.Features;

namespace Drover.ControlPlane.Api;

/// <summary>GET /api/v1/volumes/{name}/export and POST /api/v1/volumes/{name}/import: a volume's file as the body, which is never held here.</summary>
internal sealed class VolumeFileEndpoints(ICluster cluster, VolumeCommands commands, IAgentConnections agents, VolumeStreams streams, IHostApplicationLifetime lifetime, TimeProvider time)
{
    /// <summary>For a node to begin.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan ClearingTime = TimeSpan.FromSeconds(5), LettingGoTime = TimeSpan.FromMinutes(5);

    private const int LettingGoTries = 5;

    /// <summary>Null: not one of these.</summary>
    public Task? Find(HttpContext context, string[] path) => (context.Request.Method, path) switch
    {
        ("GET", ["volumes", var name, "export"]) => Export(context, new(name)),
        ("POST", ["volumes", var name, "import"]) => Import(context, name),
        _ => null,
    };

    private async Task Export(HttpContext context, VolumeName name)
    {
        if (Limit(context, out var limit) is { } fault) { await ApiV1.Refuse(context, 422, fault); return; }
        var given = context.Request.Query["snapshot"].ToString();
        if (given.Length > 0)
        {
            if (Known(name, new(given)) is { } snapshot) await Send(context, name, snapshot, limit);
            else if (!cluster.Current.Volumes.ContainsKey(name)) await ApiV1.Unknown(context, "volume", name.Value, "drover volumes");
            else await ApiV1.Unknown(context, "snapshot", given, $"drover volume show {name}");
            return;
        }
        // Not the client's to cancel: what is taken for it is also let go for it.
        var answer = await commands.Ask((state, id, now) => VolumeRequests.Snapshot(state, name, string.Create(CultureInfo.InvariantCulture, $"export-{now.UtcDateTime:yyyyMMdd-HHmmss-fff}"), SnapshotOrigin.ForExport, id, now), CancellationToken.None);
        if (answer is not VolumeAnswer.Begun begun) { await VolumeEndpoints.Say(context, cluster, answer); return; }
        try
        {
            var ended = await Ended(begun.Operation.Id, context.RequestAborted);
            if (ended is { Failure: null } && Known(name, begun.Operation.Snapshot!.Value) is { } taken) await Send(context, name, taken, limit);
            else await ApiV1.Refuse(context, 409, new($"no snapshot of volume '{name}' could be taken: {ended?.Failure ?? "it has gone"}", "name", $"name one that is there: drover volume show {name}"));
        }
        finally { await LetGo(context, begun.Operation); }
    }

    /// <summary>Also of a client that went away while it was being taken. Where something else is under way with the volume for long, or we stop, it goes later, by the clock.</summary>
    private async Task LetGo(HttpContext context, VolumeOperation taking)
    {
        var (name, snapshot) = (taking.Volume, taking.Snapshot!.Value);
        using var patience = new CancellationTokenSource(LettingGoTime, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, lifetime.ApplicationStopping);
        await Until(taking.Id, operation => operation.Ended, either.Token);
        for (var tries = 0; tries < LettingGoTries && Known(name, snapshot) is not null; tries++)
        {
            var answer = await commands.Ask((state, id, now) => VolumeRequests.Drop(state, name, snapshot, id, now), CancellationToken.None);
            if (answer is not VolumeAnswer.Refused { Fault: VolumeFault.NotNow } || either.IsCancellationRequested) return;
            // Whoever has all of the file does not wait for that.
            if (!context.RequestAborted.IsCancellationRequested) await context.Response.CompleteAsync();
            await Until(state => state.OpenOperationOf(name) is null && state.OpenMoveOf(name) is null, either.Token);
        }
    }

    private VolumeSnapshot? Known(VolumeName name, SnapshotName snapshot) =>
        cluster.Current.Volumes.GetValueOrDefault(name)?.Snapshots.Items.FirstOrDefault(s => s.Name == snapshot);

    private async Task Send(HttpContext context, VolumeName name, VolumeSnapshot snapshot, long limit)
    {
        if (!agents.IsConnected(snapshot.Node))
        {
            await ApiV1.Refuse(context, 409, new($"snapshot '{snapshot.Name}' is on node '{snapshot.Node}', which is not connected", "snapshot", "bring the node back, or export another snapshot"));
            return;
        }
        var id = commands.NewId().Value;
        await using var open = streams.Expect(id, snapshot.Node, context.Response.BodyWriter);
        context.Response.ContentType = "application/octet-stream";
        context.Response.Headers.ContentDisposition = $"attachment; filename=\"{name}-{snapshot.Name}.drovervol\"";
        using var over = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        var run = agents.Run(snapshot.Node, Order(id, name, snapshot, limit), null, over.Token);
        if (await Failure(open, run, over.Token) is { } failure)
        {
            // A node that begins late would write beside this answer: from here on nobody does, and whether anything was written is known.
            await open.DisposeAsync();
            // Nobody may take what came so far for a file.
            if (context.Response.HasStarted) { context.Abort(); }
            else
            {
                context.Response.Headers.ContentDisposition = default;
                await ApiV1.Refuse(context, 409, new($"node '{snapshot.Node}' could not export volume '{name}': {failure}", "name", "look at its agent's log, then repeat"));
            }
        }
        await over.CancelAsync();
        await ((Task)run).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private Step Order(string id, VolumeName name, VolumeSnapshot snapshot, long limit)
    {
        var volume = cluster.Current.Volumes.GetValueOrDefault(name);
        // One that was just taken has not been measured.
        var bytes = snapshot.Size > ByteCount.Zero ? snapshot.Size : volume?.Used ?? default;
        var header = new VolumeFileHeader(VolumeFile.Version, name.Value, snapshot.Name.Value, snapshot.TakenAt, time.GetUtcNow(), VolumeFile.Tree1, VolumeFile.Zstd, bytes.Bytes, volume?.Size?.Bytes);
        return new Step
        {
            StepId = $"export/{id}", MoveId = id,
            ExportVolume = new()
            {
                Name = name.Value, Snapshot = VolumeSnapshots.OnNode(snapshot.Name).Value, StreamId = id, BytesPerSecond = limit, Header = JsonSerializer.Serialize(header, VolumeFileJson.Default.VolumeFileHeader),
            },
        };
    }

    /// <summary>Null: all of it went out, and the node says so.</summary>
    private async Task<string?> Failure(OpenStream open, Task<StepResult> run, CancellationToken cancel)
    {
        if (await Task.WhenAny(run, open.Begun, Task.Delay(Patience, time, cancel)) is var first && first != run && first != open.Begun) return $"it did not begin within {Patience.TotalSeconds:0} s";
        if (await Task.WhenAny(run, open.Ended) == open.Ended && await open.Ended is { } broken)
        {
            // The node's own words say more than the end of its connection, if it is there to say them.
            return await Task.WhenAny(run, Task.Delay(Patience, time, cancel)) == run && run.IsCompletedSuccessfully && (await run).Error is { Length: > 0 } why ? why : broken.Message;
        }
        if ((await run).Error is { Length: > 0 } error) return error;
        return open.Begun.IsCompleted ? (await open.Ended)?.Message : "it sent nothing";
    }

    private async Task Import(HttpContext context, string name)
    {
        if (Limit(context, out var limit) is { } fault) { await ApiV1.Refuse(context, 422, fault); return; }
        var asked = context.Request.Query["size"].ToString();
        ByteCount? size = null;
        if (asked is not ("" or "none"))
        {
            if (!ByteSizes.TryParse(asked, out var parsed)) { await ApiV1.Refuse(context, 422, new("is no size", "size", $"give {ByteSizes.Rule}, or \"none\"")); return; }
            size = parsed;
        }
        var node = context.Request.Query["node"].ToString() is { Length: > 0 } on ? on : null;
        var rate = limit > 0 ? limit : (long?)null;
        // Before the first byte of a long file is asked for.
        if (VolumeRequests.Import(cluster.Current, name, node, size, rate, new("asked"), time.GetUtcNow()).Outcome is VolumeAnswer.Refused early) { await VolumeEndpoints.Say(context, cluster, early); return; }
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } most) most.MaxRequestBodySize = null;
        VolumeFileHeader header;
        try { header = await Header(context.Request.BodyReader, context.RequestAborted); }
        catch (InvalidDataException e) { await ApiV1.Refuse(context, 422, new(e.Message, "body", "send what `drover volume export` wrote")); return; }
        if (asked.Length == 0 && header.SizeBytes is { } own) size = new ByteCount(own);
        await Receive(context, name, node, size, rate);
    }

    private async Task Receive(HttpContext context, string name, string? node, ByteCount? size, long? rate)
    {
        var id = commands.NewId();
        await using var open = streams.Offer(id.Value, context.Request.BodyReader);
        var answer = await commands.Ask(id, (state, operation, now) => VolumeRequests.Import(state, name, node, size, rate, operation, now), context.RequestAborted);
        if (answer is not VolumeAnswer.Begun) { await VolumeEndpoints.Say(context, cluster, answer); return; }
        var ended = await Ended(id, context.RequestAborted);
        if (ended is { Failure: null }) await ApiV1.Write(context, 200, ViewsV1.Operation(cluster.Current, ended), ApiJson.Default.OperationView);
        else await ApiV1.Refuse(context, 422, new($"volume '{name}' was not imported: {ended?.Failure ?? "its record has gone"}", "body", "nothing of it is kept: mend what is said, and send the file again"));
    }

    private static async Task<VolumeFileHeader> Header(PipeReader body, CancellationToken cancel)
    {
        while (true)
        {
            var read = await body.ReadAsync(cancel);
            VolumeFileHeader? header = null;
            try { header = VolumeFile.Peek(read.Buffer); }
            // It stays there: the node needs all of the file for its hash.
            finally { body.AdvanceTo(read.Buffer.Start, header is null ? read.Buffer.End : read.Buffer.Start); }
            if (header is not null) return header;
            if (read.IsCompleted) throw new InvalidDataException("the file is cut short: it ends within its header");
        }
    }

    /// <summary>The operation at its end, or when it has failed and what is left cannot be cleared away at once: its node may be away.</summary>
    private async Task<VolumeOperation?> Ended(OperationId id, CancellationToken cancel)
    {
        await Until(id, operation => operation.Ended || operation.Failure is not null, cancel);
        using var patience = new CancellationTokenSource(ClearingTime, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancel);
        await Until(id, operation => operation.Ended, either.Token);
        cancel.ThrowIfCancellationRequested();
        return cluster.Current.Operations.GetValueOrDefault(id);
    }

    private Task Until(OperationId id, Func<VolumeOperation, bool> reached, CancellationToken cancel) =>
        Until(state => !state.Operations.TryGetValue(id, out var operation) || reached(operation), cancel);

    private async Task Until(Func<ClusterState, bool> over, CancellationToken cancel)
    {
        using var watch = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var commits = cluster.Watch(watch.Token);
        try
        {
            if (!over(cluster.Current))
                await foreach (var commit in commits)
                    if (over(commit.After)) break;
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested) { /* the caller looks where it stands */ }
        await watch.CancelAsync();
    }

    private static ErrorView? Limit(HttpContext context, out long limit)
    {
        limit = 0;
        var given = context.Request.Query["limit"].ToString();
        return given.Length == 0 || long.TryParse(given, NumberStyles.None, CultureInfo.InvariantCulture, out limit) && limit < long.MaxValue / 2 ? null
            : new("must be bytes a second, 0 for no limit", "limit", "leave it out for no limit");
    }
}
