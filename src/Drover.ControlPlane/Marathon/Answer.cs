using System.Collections.Immutable;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using Drover.Core;
using Drover.Core.Apps;

namespace Drover.ControlPlane.Marathon;

/// <summary>A response of the Marathon surface, before it is written.</summary>
public sealed record Answer(int Status, string Body, string ContentType = "application/json")
{
    private const int Piece = 16 * 1024;

    public string? Location { get; init; }
    public DeploymentId? Deployment { get; init; }
    public string? Allow { get; init; }
    /// <summary>Writes the body piece by piece instead: what is long is never whole in memory.</summary>
    public Func<PipeWriter, CancellationToken, Task>? Stream { get; init; }

    public static Answer Json(int status, Action<Utf8JsonWriter> fields) => new(status, MarathonJson.Object(fields));

    /// <summary>An object with one array, its items written one after the other as the client takes them.</summary>
    public static Answer Array<T>(string name, IEnumerable<T> items, Action<Utf8JsonWriter, T> write) => new(200, "")
    {
        Stream = async (output, cancel) =>
        {
            await using var json = new Utf8JsonWriter(output, MarathonJson.Options);
            json.WriteStartObject();
            json.WriteStartArray(name);
            foreach (var item in items)
            {
                write(json, item);
                if (json.BytesPending < Piece) continue;
                json.Flush();
                if ((await output.FlushAsync(cancel)).IsCompleted) return;
            }
            json.WriteEndArray();
            json.WriteEndObject();
            json.Flush();
            await output.FlushAsync(cancel);
        },
    };

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

    /// <param name="places">Where in the request each app's definition stands: `/apps(1)`.</param>
    public static Answer Invalid(EquatableList<FieldError> errors, IReadOnlyDictionary<AppId, string> places) => Faults(types: false, errors.Select(e => e.App switch
    {
        null => new Violation(e.Path, [e.Message]),
        { } app when places.TryGetValue(app, out var at) => new Violation(e.Path == "/" ? at : at + e.Path, [e.Message]),
        // The request does not hold this app's definition.
        { } app => new Violation("/", [$"app '{app}', {e.Path}: {e.Message}"]),
    }));

    public static Answer NoGroup(GroupId id, DateTimeOffset? at = null) =>
        Message(404, at is { } moment ? $"Group '{id}' does not exist in version {AppJsonOut.Timestamp(moment)}" : $"Group '{id}' does not exist");

    public static Answer NoVersion(AppId id, DateTimeOffset version) => Message(404, $"App '{id}' does not exist in version {AppJsonOut.Timestamp(version)}");

    public static Answer NoMoment(string text) => Message(422, $"'{text}' is no version: write the time as in 2015-09-25T15:13:48.343Z");

    public static Answer Changed(int status, ChangeOutcome outcome, IReadOnlyDictionary<AppId, string> places) => outcome switch
    {
        ChangeOutcome.Accepted accepted => Began(status, accepted.Deployment, accepted.Version),
        ChangeOutcome.NoSuchApp missing => NoApp(missing.App),
        ChangeOutcome.NoSuchVersion missing => NoVersion(missing.App, missing.Version),
        ChangeOutcome.NoSuchGroup missing => NoGroup(missing.Group, missing.At),
        ChangeOutcome.GroupExists exists => Message(409, $"Group {exists.Group} is already created. Use PUT to change this group."),
        ChangeOutcome.AppHasPath taken => Message(409, $"An app with the path {taken.App} already exists."),
        ChangeOutcome.Locked locked => Locked(locked.Deployments),
        ChangeOutcome.Invalid invalid => Invalid(invalid.Errors, places),
        ChangeOutcome.TooMany many => TooManyDeployments(many.Limit),
        _ => throw new System.Diagnostics.UnreachableException(),
    };

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
        if (Stream is not null)
        {
            if (!HttpMethods.IsHead(context.Request.Method)) await Stream(response.BodyWriter, context.RequestAborted);
            return;
        }
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
