using System.Text.Json;
using Drover.ControlPlane.Moves;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.Moves;
using Drover.Core.State;

namespace Drover.ControlPlane.Marathon;

/// <summary>Deployments in Marathon's shape.</summary>
public static class DeploymentViews
{
    /// <param name="board">What agents say of the data under way.</param>
    public static void Deployment(Utf8JsonWriter json, ClusterState state, Deployment deployment, MoveProgressBoard board)
    {
        json.WriteStartObject();
        json.WriteString("id", deployment.Id.Value);
        json.WriteString("version", AppJsonOut.Timestamp(deployment.Version));
        json.WriteStartArray("affectedApps");
        foreach (var app in deployment.AffectedApps) json.WriteStringValue(app.Value);
        json.WriteEndArray();
        json.WriteStartArray("affectedPods");
        json.WriteEndArray();
        Steps(json, deployment.Steps);
        Actions(json, "currentActions", deployment.CurrentStep < deployment.Steps.Count ? deployment.Steps[deployment.CurrentStep] : new([]), state, board);
        json.WriteNumber("currentStep", Math.Min(deployment.CurrentStep + 1, deployment.Steps.Count));
        json.WriteNumber("totalSteps", deployment.Steps.Count);
        // Beyond Marathon: whoever waits says for what.
        if (deployment.WaitsFor is { } what) json.WriteString("waitsFor", what);
        json.WriteEndObject();
    }

    public static void Plan(Utf8JsonWriter json, Deployment deployment)
    {
        json.WriteStartObject("plan");
        json.WriteString("id", deployment.Id.Value);
        Steps(json, deployment.Steps);
        json.WriteString("version", AppJsonOut.Timestamp(deployment.Version));
        json.WriteEndObject();
    }

    public static void Actions(Utf8JsonWriter json, string name, DeploymentStep step, ClusterState? readinessIn, MoveProgressBoard? board = null)
    {
        json.WriteStartArray(name);
        foreach (var action in step.Actions)
        {
            json.WriteStartObject();
            json.WriteString("action", action.Kind.ToString());
            json.WriteString("app", action.App.Value);
            if (readinessIn is not null) ReadinessJson.Results(json, readinessIn.Apps.TryGetValue(action.App, out var app) ? Readiness.ResultsOf(readinessIn, app) : []);
            if (board is not null && readinessIn?.OpenMoveOf(action.App) is { } move) Data(json, move, MoveBytes.Of(move, board.Of(move)));
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    /// <summary>Beyond Marathon: the app's data is on its way, and how far it is.</summary>
    private static void Data(Utf8JsonWriter json, Move move, MoveBytes data)
    {
        json.WriteStartObject("move");
        json.WriteString("id", move.Id.Value);
        json.WriteString("state", move.State.ToString());
        json.WriteString("source", move.Source.Value);
        json.WriteString("target", move.Target.Value);
        json.WriteNumber("bytesTotal", data.Total);
        json.WriteNumber("bytesDone", data.Done);
        if (data.SecondsLeft is { } left) json.WriteNumber("secondsLeft", Math.Round(left, 1));
        else json.WriteNull("secondsLeft");
        if (move.WaitsFor is { } what) json.WriteString("waitsFor", what);
        json.WriteEndObject();
    }

    public static void Steps(Utf8JsonWriter json, EquatableList<DeploymentStep> steps)
    {
        json.WriteStartArray("steps");
        foreach (var step in steps)
        {
            json.WriteStartObject();
            Actions(json, "actions", step, readinessIn: null);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }
}
