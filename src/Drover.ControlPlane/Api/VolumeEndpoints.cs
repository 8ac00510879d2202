using Drover.Contracts.Api;
using Drover.ControlPlane.Marathon;
using Drover.ControlPlane.Volumes;
using Drover.Core;
using Drover.Core.State;
using Drover.Core.Volumes;

namespace Drover.ControlPlane.Api;

/// <summary>/api/v1/volumes and /api/v1/operations</summary>
internal sealed class VolumeEndpoints(ICluster cluster, VolumeCommands commands)
{
    private delegate (Func<ClusterState, OperationId, DateTimeOffset, Decision<VolumeAnswer>>? Request, ErrorView? Fault) Reader(JsonFields fields);

    public Task List(HttpContext context)
    {
        var deleted = context.Request.Query["deleted"] == "true";
        var state = cluster.Current;
        return ApiV1.Write(context, 200, new VolumesView([.. state.Volumes.Values.Where(v => deleted || v.DeletedAt is null).Select(v => ViewsV1.Volume(state, v))]), ApiJson.Default.VolumesView);
    }

    public Task Show(HttpContext context, string name) => cluster.Current is var state && state.Volumes.TryGetValue(new(name), out var volume)
        ? ApiV1.Write(context, 200, ViewsV1.Volume(state, volume), ApiJson.Default.VolumeView)
        : ApiV1.Unknown(context, "volume", name, "drover volumes");

    public Task Operations(HttpContext context)
    {
        var state = cluster.Current;
        return ApiV1.Write(context, 200, new OperationsView([.. state.Operations.Values.OrderByDescending(o => o.RequestedAt).ThenBy(o => o.Id).Select(o => ViewsV1.Operation(state, o))]), ApiJson.Default.OperationsView);
    }

    public Task Operation(HttpContext context, string id) => cluster.Current is var state && state.Operations.TryGetValue(new(id), out var operation)
        ? ApiV1.Write(context, 200, ViewsV1.Operation(state, operation), ApiJson.Default.OperationView)
        : ApiV1.Unknown(context, "operation", id, "drover volume operations");

    /// <summary>What may be done at a path below /api/v1/volumes, for a 405.</summary>
    public static string Allowed(string[] path) => path switch
    {
        [_] => "GET, POST",
        [_, _] => "GET, DELETE",
        [_, _, "snapshots"] => "GET, POST",
        [_, _, "snapshots", _] => "DELETE",
        [_, _, "schedule"] => "PUT, DELETE",
        [_, _, "import" or "restore" or "clone" or "resize" or "undelete" or "purge" or "promote"] => "POST",
        _ => "GET",
    };

    /// <summary>Null: nothing is changed here by this method.</summary>
    public Task? Find(HttpContext context, string[] path)
    {
        var name = new VolumeName(path.Length > 1 ? path[1] : "");
        return (context.Request.Method, path) switch
        {
            ("POST", [_]) => Do(context, Creation),
            ("DELETE", [_, _]) => Delete(context, name),
            ("POST", [_, _, "snapshots"]) => Do(context, f => Ok((s, id, now) => VolumeRequests.Snapshot(s, name, f.String("name"), SnapshotOrigin.Asked, id, now))),
            ("DELETE", [_, _, "snapshots", var snapshot]) => Answer(context, (s, id, now) => VolumeRequests.Drop(s, name, new(snapshot), id, now)),
            ("POST", [_, _, "restore"]) => Do(context, f => Named(f, "snapshot", given => (s, id, now) => VolumeRequests.Restore(s, name, new(given), id, now))),
            ("POST", [_, _, "clone"]) => Do(context, f => Named(f, "to", to => (s, id, now) =>
                VolumeRequests.Clone(s, name, to, f.String("snapshot") is { Length: > 0 } of ? new SnapshotName(of) : null, id, now))),
            ("POST", [_, _, "resize"]) => Do(context, f => Sized(f, required: true, size => (s, id, now) => VolumeRequests.Resize(s, name, size, id, now))),
            ("PUT", [_, _, "schedule"]) => Do(context, f => Schedule(f, name)),
            ("DELETE", [_, _, "schedule"]) => Answer(context, (s, _, now) => VolumeRequests.Schedule(s, name, null, 0, now)),
            ("POST", [_, _, "undelete"]) => Answer(context, (s, _, _) => VolumeRequests.Undelete(s, name)),
            ("POST", [_, _, "purge"]) => Do(context, f => Ok((s, id, now) => VolumeRequests.Purge(s, name, f.String("confirm"), id, now))),
            _ => null,
        };
    }

    private static (Func<ClusterState, OperationId, DateTimeOffset, Decision<VolumeAnswer>>?, ErrorView?) Creation(JsonFields fields) =>
        Named(fields, "name", name => (s, id, now) => default).Item2 is { } fault ? (null, fault)
            : Sized(fields, required: false, size => (s, id, now) => VolumeRequests.Create(s, fields.String("name")!, fields.String("node") is { Length: > 0 } node ? node : null, size, id, now));

    private static (Func<ClusterState, OperationId, DateTimeOffset, Decision<VolumeAnswer>>?, ErrorView?) Schedule(JsonFields fields, VolumeName name)
    {
        var (seconds, keep) = (fields.Number("everySeconds"), fields.Integer("keep"));
        if (seconds is not (> 0 and < 1e9)) return (null, new("must be seconds, from 60 to 366 days", "everySeconds", "give how often, such as 3600"));
        if (keep is not { } count) return (null, new("must be given", "keep", "say how many snapshots stay, such as 24"));
        return Ok((s, _, now) => VolumeRequests.Schedule(s, name, TimeSpan.FromSeconds(seconds.Value), count, now));
    }

    private static (Func<ClusterState, OperationId, DateTimeOffset, Decision<VolumeAnswer>>?, ErrorView?) Ok(Func<ClusterState, OperationId, DateTimeOffset, Decision<VolumeAnswer>> request) => (request, null);

    private static (Func<ClusterState, OperationId, DateTimeOffset, Decision<VolumeAnswer>>?, ErrorView?) Named(
        JsonFields fields, string field, Func<string, Func<ClusterState, OperationId, DateTimeOffset, Decision<VolumeAnswer>>> request) =>
        fields.String(field) is { Length: > 0 } given ? (request(given), null) : (null, new("must be given as text", field, $"say \"{field}\": \"…\""));

    private static (Func<ClusterState, OperationId, DateTimeOffset, Decision<VolumeAnswer>>?, ErrorView?) Sized(
        JsonFields fields, bool required, Func<ByteCount?, Func<ClusterState, OperationId, DateTimeOffset, Decision<VolumeAnswer>>> request)
    {
        var text = fields.String("size");
        if (text is null or "") return required ? (null, new("must be given", "size", $"give {ByteSizes.Rule}, or \"none\"")) : (request(null), null);
        if (text == "none") return (request(null), null);
        return ByteSizes.TryParse(text, out var size) ? (request(size), null) : (null, new($"'{(text.Length > 40 ? text[..40] + "…" : text)}' is no size", "size", $"give {ByteSizes.Rule}"));
    }

    private Task Delete(HttpContext context, VolumeName name)
    {
        var kept = VolumeRequests.Kept;
        var given = context.Request.Query["keepSeconds"].ToString();
        if (given.Length > 0)
        {
            if (!long.TryParse(given, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var seconds) || seconds > VolumeRequests.LongestKept.TotalSeconds)
                return ApiV1.Refuse(context, 422, new("must be whole seconds, from 0 to 3650 days", "keepSeconds", "leave it out for 7 days"));
            kept = TimeSpan.FromSeconds(seconds);
        }
        return Answer(context, (s, _, now) => VolumeRequests.Delete(s, name, kept, now));
    }

    private async Task Do(HttpContext context, Reader read)
    {
        using var body = await RequestBody.Read(context);
        if (body.Json is null)
        {
            await ApiV1.Refuse(context, body.Fault == BodyFault.TooLarge ? 413 : 400, new(body.Details, null, "send a JSON object, {} where nothing is to be said"));
            return;
        }
        if (body.Json.RootElement.ValueKind != System.Text.Json.JsonValueKind.Object)
        {
            await ApiV1.Refuse(context, 400, new("must be a JSON object", null, "send {} where nothing is to be said"));
            return;
        }
        var fields = new JsonFields(body.Json.RootElement, "", new Violations());
        var (request, fault) = read(fields);
        if (request is not null)
        {
            // Read inside the request too: a field of the wrong type is told before anything is done.
            foreach (var text in (string[])["name", "node", "snapshot", "to", "confirm", "size"]) fields.String(text);
        }
        if (fields.Violations.Any && fields.Violations.Told[0] is var wrong) await ApiV1.Refuse(context, 400, new(wrong.Errors[^1], wrong.Path.TrimStart('/'), "see the API's description"));
        else if (request is null) await ApiV1.Refuse(context, 422, fault!);
        else await Answer(context, request);
    }

    private async Task Answer(HttpContext context, Func<ClusterState, OperationId, DateTimeOffset, Decision<VolumeAnswer>> request) =>
        await Say(context, cluster, await commands.Ask(request, context.RequestAborted));

    internal static async Task Say(HttpContext context, ICluster cluster, VolumeAnswer answer)
    {
        switch (answer)
        {
            case VolumeAnswer.Begun begun:
                context.Response.Headers.Location = $"/api/v1/operations/{begun.Operation.Id}";
                await ApiV1.Write(context, 202, ViewsV1.Operation(cluster.Current, begun.Operation), ApiJson.Default.OperationView);
                break;
            case VolumeAnswer.Changed changed:
                await ApiV1.Write(context, 200, ViewsV1.Volume(cluster.Current, changed.Volume), ApiJson.Default.VolumeView);
                break;
            case VolumeAnswer.Refused refused:
                await ApiV1.Refuse(context, refused.Fault switch { VolumeFault.Unknown => 404, VolumeFault.NotNow => 409, _ => 422 }, new(refused.Message, refused.Field, refused.Remedy));
                break;
            default: throw new System.Diagnostics.UnreachableException();
        }
    }
}
