using System.Text.Json;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.State;

namespace Drover.ControlPlane.Marathon;

/// <summary>Deployments in Marathon's shape.</summary>
public static class DeploymentViews
{
    public static void Deployment(Utf8JsonWriter json, ClusterState state, Deployment deployment)
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
        Actions(json, "currentActions", deployment.CurrentStep < deployment.Steps.Count ? deployment.Steps[deployment.CurrentStep] : new([]), state);
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

    public static void Actions(Utf8JsonWriter json, string name, DeploymentStep step, ClusterState? readinessIn)
    {
        json.WriteStartArray(name);
        foreach (var action in step.Actions)
        {
            json.WriteStartObject();
            json.WriteString("action", action.Kind.ToString());
            json.WriteString("app", action.App.Value);
            if (readinessIn is not null) ReadinessJson.Results(json, readinessIn.Apps.TryGetValue(action.App, out var app) ? Readiness.ResultsOf(readinessIn, app) : []);
            json.WriteEndObject();
        }
        json.WriteEndArray();
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
