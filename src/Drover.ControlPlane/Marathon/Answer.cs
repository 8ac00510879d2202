using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Drover.Core;
using Drover.Core.Apps;

namespace Drover.ControlPlane.Marathon;

/// <summary>A response of the Marathon surface, before it is written.</summary>
public sealed record Answer(int Status, string Body, string ContentType = "application/json")
{
    public string? Location { get; init; }
    public DeploymentId? Deployment { get; init; }
    public string? Allow { get; init; }

    public static Answer Json(int status, Action<Utf8JsonWriter> fields) => new(status, MarathonJson.Object(fields));

    public static Answer Message(int status, string message) => Json(status, json => json.WriteString("message", message));

    public static Answer BrokenJson(string details) => Json(400, json =>
    {
        json.WriteString("message", "Invalid JSON");
        json.WriteString("details", details);
    });

    public static Answer NotAnObject(string details) => Json(400, json =>
    {
        json.WriteString("message", "Please specify data in JSON format");
        json.WriteString("details", details);
    });

    public static Answer Faults(bool types, IEnumerable<Violation> faults) => Json(422, json =>
    {
        json.WriteString("message", types ? "Invalid JSON" : "Object is not valid");
        json.WriteStartArray("details");
        foreach (var fault in faults)
        {
            json.WriteStartObject();
            json.WriteString("path", fault.Path);
            json.WriteStartArray("errors");
            foreach (var error in fault.Errors) json.WriteStringValue(error);
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndArray();
    });

    public static Answer Invalid(EquatableList<FieldError> errors) => Faults(types: false, errors.Select(e => new Violation(e.Path, ImmutableArray.Create(e.Message))));

    public static Answer NoApp(AppId id) => Message(404, $"App '{id}' does not exist");

    public static Answer Locked(EquatableList<DeploymentId> deployments) => Json(409, json =>
    {
        json.WriteString("message", "App is locked by one or more deployments. Override with the option '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.");
        json.WriteStartArray("deployments");
        foreach (var deployment in deployments)
        {
            json.WriteStartObject();
            json.WriteString("id", deployment.Value);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    });

    public static Answer TooManyDeployments(int limit) =>
        Message(403, $"Max number ({limit}) of running deployments is achieved. Wait until one has ended, or end one with DELETE /v2/deployments/<DEPLOYMENT_ID>.");

    public static Answer Began(int status, DeploymentId deployment, DateTimeOffset version) => Json(status, json =>
    {
        json.WriteString("version", AppJsonOut.Timestamp(version));
        json.WriteString("deploymentId", deployment.Value);
    }) with { Deployment = deployment };

    public async Task Write(HttpContext context)
    {
        var response = context.Response;
        response.StatusCode = Status;
        NoCache(response);
        if (Location is not null) response.Headers.Location = Location;
        if (Deployment is { } deployment) response.Headers["Marathon-Deployment-Id"] = deployment.Value;
        if (Allow is not null) response.Headers.Allow = Allow;
        if (Status == 204) return;
        response.ContentType = ContentType;
        var bytes = Encoding.UTF8.GetBytes(Body);
        response.ContentLength = bytes.Length;
        if (!HttpMethods.IsHead(context.Request.Method)) await response.Body.WriteAsync(bytes, context.RequestAborted);
    }

    public static void NoCache(HttpResponse response)
    {
        response.Headers.CacheControl = "no-cache, no-store, must-revalidate";
        response.Headers.Pragma = "no-cache";
        response.Headers.Expires = "0";
    }
}
