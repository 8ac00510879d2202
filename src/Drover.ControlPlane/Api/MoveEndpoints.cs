using Drover.Contracts.Api;
using Drover.ControlPlane.Marathon;
using Drover.ControlPlane.Moves;
using Drover.Core;
using Drover.Core.Moves;

namespace Drover.ControlPlane.Api;

/// <summary>/api/v1/moves</summary>
internal sealed class MoveEndpoints(ICluster cluster, MoveCommands commands, MoveProgressBoard board)
{
    public Task List(HttpContext context) => ApiV1.Write(context, 200,
        new MovesView([.. cluster.Current.Moves.Values.OrderByDescending(m => m.RequestedAt).ThenBy(m => m.Id).Select(m => ViewsV1.Move(m, board.Of(m)))]), ApiJson.Default.MovesView);

    public Task Show(HttpContext context, string id) => cluster.Current.Moves.TryGetValue(new MoveId(id), out var move)
        ? ApiV1.Write(context, 200, ViewsV1.Move(move, board.Of(move)), ApiJson.Default.MoveView)
        : ApiV1.Unknown(context, "move", id, "drover moves");

    public async Task Start(HttpContext context)
    {
        using var body = await RequestBody.Read(context);
        if (body.Json is null)
        {
            await ApiV1.Refuse(context, body.Fault == BodyFault.TooLarge ? 413 : 400, new(body.Details, null, "send JSON such as {\"app\": \"mongo\", \"to\": \"node2\"}"));
            return;
        }
        var (wish, dryRun, error) = Read(new JsonFields(body.Json.RootElement, "", new Violations()));
        if (wish is null) await ApiV1.Refuse(context, 400, error!);
        else if (dryRun) await Plan(context, wish);
        else await Begin(context, wish);
    }

    public async Task Act(HttpContext context, string id, bool undo)
    {
        var move = new MoveId(id);
        switch (undo ? await commands.Undo(move, context.RequestAborted) : await commands.Cut(move, context.RequestAborted))
        {
            case MoveActOutcome.Taken taken: await ApiV1.Write(context, 202, ViewsV1.Move(taken.Move, board.Of(taken.Move)), ApiJson.Default.MoveView); break;
            case MoveActOutcome.Refused refused: await ApiV1.Refuse(context, 409, new(refused.Message, "id", refused.Remedy)); break;
            default: await ApiV1.Unknown(context, "move", id, "drover moves"); break;
        }
    }

    private async Task Begin(HttpContext context, MoveWish wish)
    {
        var begun = await commands.Start(wish, context.RequestAborted);
        if (begun.Move is not { } move)
        {
            await Refuse(context, begun.Refusal!);
            return;
        }
        context.Response.Headers.Location = $"/api/v1/moves/{move.Id}";
        await ApiV1.Write(context, 202, ViewsV1.Move(move, null), ApiJson.Default.MoveView);
    }

    private Task Plan(HttpContext context, MoveWish wish)
    {
        var forecast = commands.Forecast(wish);
        return forecast.Plan is { } plan ? ApiV1.Write(context, 200, plan, ApiJson.Default.MovePlanView) : Refuse(context, forecast.Refusal!);
    }

    private static Task Refuse(HttpContext context, MoveRefusal refusal) => ApiV1.Refuse(context, Status(refusal), new(refusal.Message, refusal.Field, refusal.Remedy));

    /// <summary>404: named something unknown. 409: it may be asked again when what is under way has ended, or is so already. 422: it cannot be, as things are.</summary>
    public static int Status(MoveRefusal refusal) => refusal switch
    {
        MoveRefusal.UnknownApp or MoveRefusal.UnknownNode => 404,
        MoveRefusal.AlreadyMoving or MoveRefusal.VolumeMoving or MoveRefusal.VolumeAtWork or MoveRefusal.AlreadyThere or MoveRefusal.BeingDeployed => 409,
        MoveRefusal.BadConstraint => 400,
        _ => 422,
    };

    private static (MoveWish? Wish, bool DryRun, ErrorView? Error) Read(JsonFields fields)
    {
        var app = fields.String("app");
        var to = fields.String("to");
        var constraint = fields.String("constraint");
        var dryRun = fields.Boolean("dryRun") ?? false;
        var withoutSizes = fields.Boolean("withoutSizes") ?? false;
        var limit = fields.Number("limit") ?? 0;
        var target = fields.Number("downtimeTargetMs");
        var policy = fields.String("policy");
        var quiesce = fields.String("quiesce");
        if (fields.Violations.Any && fields.Violations.Told[0] is var fault) return Fault(fault.Path.TrimStart('/'), fault.Errors[^1], "see POST /api/v1/moves in the API's description");
        if (string.IsNullOrEmpty(app)) return Fault("app", "must be given", "name the app to move, such as \"app\": \"mongo\"");
        if (AppIds.Parse(app) is not { Id: { } id } parsed) return Fault("app", AppIds.Parse(app).Fault!, "list what there is with: drover apps");
        if (string.IsNullOrEmpty(to) == string.IsNullOrEmpty(constraint)) return Fault("to", "exactly one of to and constraint must be given", "write \"to\": \"node2\" or \"constraint\": \"disk=ssd\"");
        if (limit is < 0 or > long.MaxValue / 2) return Fault("limit", "must be bytes a second, 0 for no limit", "leave it out for no limit");
        AttributeValue? attribute = null;
        if (!string.IsNullOrEmpty(constraint) && (attribute = AttributeValue.Parse(constraint)) is null)
        {
            var refusal = new MoveRefusal.BadConstraint(constraint);
            return Fault(refusal.Field, refusal.Message, refusal.Remedy);
        }
        if (target is < 1 or > MoveSettings.MostMilliseconds) return Fault("downtimeTargetMs", $"must be milliseconds from 1 to {MoveSettings.MostMilliseconds}", "leave it out for the app's own");
        if (policy is not null && MoveSettings.Policy(policy) is null) return Fault("policy", $"must be cut, throttle, wait or abort; it was '{policy}'", "leave it out for the app's own");
        if (quiesce is not null && MoveSettings.QuiesceOf(quiesce) is null) return Fault("quiesce", $"must be stop or freeze; it was '{quiesce}'", "leave it out for the app's own");
        var overrides = new MoveOverrides(target is { } ms ? TimeSpan.FromMilliseconds(ms) : null, MoveSettings.Policy(policy), MoveSettings.QuiesceOf(quiesce), limit > 0 ? (long)limit : null);
        return (new MoveWish(id, string.IsNullOrEmpty(to) ? null : new NodeId(to), attribute, overrides) { WithoutSizes = withoutSizes }, dryRun, null);
    }

    private static (MoveWish?, bool, ErrorView?) Fault(string field, string message, string remedy) => (null, false, new(message, field, remedy));
}
