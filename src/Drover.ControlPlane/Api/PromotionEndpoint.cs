using System.Globalization;
using Drover.Contracts.Api;
using Drover.ControlPlane.Agents;
using Drover.ControlPlane.Marathon;
using Drover.Core;
using Drover.Core.Volumes;

namespace Drover.ControlPlane.Api;

/// <summary>POST /api/v1/volumes/{name}/promote</summary>
internal sealed class PromotionEndpoint(VolumePromotions promotions)
{
    public async Task Promote(HttpContext context, string name)
    {
        using var body = await RequestBody.Read(context);
        if (body.Json is null)
        {
            await ApiV1.Refuse(context, body.Fault == BodyFault.TooLarge ? 413 : 400, new(body.Details, null, "send JSON such as {\"to\": \"node2\", \"acceptLoss\": true}"));
            return;
        }
        var fields = new JsonFields(body.Json.RootElement, "", new Violations());
        var (to, accept) = (fields.String("to"), fields.Boolean("acceptLoss") ?? false);
        if (fields.Violations.Any && fields.Violations.Told[0] is var fault) await ApiV1.Refuse(context, 400, new(fault.Errors[^1], fault.Path.TrimStart('/'), "send JSON such as {\"to\": \"node2\", \"acceptLoss\": true}"));
        else if (string.IsNullOrEmpty(to)) await ApiV1.Refuse(context, 400, new("must be given", "to", "name the node that has a standby: drover volumes"));
        else await Answer(context, await promotions.Promote(new(new VolumeName(name), new NodeId(to), accept), context.RequestAborted));
    }

    private static Task Answer(HttpContext context, PromotionAnswer answer)
    {
        switch (answer)
        {
            case PromotionAnswer.Done done:
                return ApiV1.Write(context, 200, new PromotionView(done.Volume.Name.Value, done.From.Value, done.Of.Node.Value, done.Volume.Epoch.Value, done.Of.Snapshot.Value, done.Of.Since, done.Loss), ApiJson.Default.PromotionView);
            case PromotionAnswer.Waits waits:
                var seconds = Math.Ceiling(waits.Left.TotalSeconds).ToString(CultureInfo.InvariantCulture);
                context.Response.Headers.RetryAfter = seconds;
                return ApiV1.Refuse(context, 409, new($"'{waits.For}' may write for {seconds} s more, cut off or not: its lease has not ended. Nothing was done yet", "volume", $"ask again in {seconds} s (drover volume promote waits by itself)"));
            case PromotionAnswer.Refused refused:
                return ApiV1.Refuse(context, refused.Fault switch { PromotionFault.Unknown => 404, PromotionFault.NotNow => 409, _ => 422 }, new(refused.Message, refused.Field, refused.Remedy));
            default: throw new System.Diagnostics.UnreachableException();
        }
    }
}
