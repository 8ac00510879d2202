using System.Text.Json.Serialization.Metadata;

namespace Drover.ControlPlane.OpenApi;

/// <summary>One thing that can be asked of the HTTP door, as its description tells it.</summary>
/// <param name="Path">`{id}`: an id, of an app or group with slashes in it.</param>
/// <param name="Query">Each `name: what it does`.</param>
/// <param name="Body">Null: none is read.</param>
/// <param name="Answer">Null: no JSON, or none of one form.</param>
/// <param name="Media">Of the answer, where it is no JSON.</param>
public sealed record ApiOperation(string Method, string Path, string Summary, int Status, JsonTypeInfo? Answer, JsonTypeInfo? Body = null, string[]? Query = null, int[]? Refusals = null, string Media = "application/json")
{
    /// <summary>The body may be one of these or a list of them.</summary>
    public bool Many { get; init; }
}
