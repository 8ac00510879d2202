using System.Text.Json;
using Drover.ControlPlane.Marathon;
using Drover.Core.Apps;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon;

/// <summary>App definitions as people have them in files.</summary>
public static class Dialects
{
    /// <summary>The 2015 demo's database, to the letter.</summary>
    public const string Db = """
        {"id":"mongo","mem":128,"cpus":0.1,"env":{"WEAVE_CIDR":"10.255.0.10/24"},
         "container":{"type":"DOCKER","docker":{"image":"mongo","network":"BRIDGE"},
          "volumes":[{"containerPath":"/data/db","hostPath":"/flocker/mongodata","mode":"RW"}],"forcePullImage":true},
         "constraints":[["disk","CLUSTER","spinning"]],"cmd":""}
        """;

    /// <summary>The 2015 demo's app, to the letter.</summary>
    public const string App = """
        {"id":"app","mem":128,"cpus":0.1,"env":{"WEAVE_CIDR":"10.255.0.11/24","MONGO_URI":"mongodb://10.255.0.10:27017/todos"},
         "container":{"type":"DOCKER","docker":{"image":"binocarlos/powerstrip-mesosphere-demo:latest","network":"BRIDGE",
          "portMappings":[{"containerPort":8000,"hostPort":8000,"protocol":"tcp"}]},"forcePullImage":true},
         "ports":[8000],"constraints":[["disk","CLUSTER","spinning"]],"cmd":""}
        """;

    public static AppReading Read(string json, AppSpec? start = null)
    {
        using var document = JsonDocument.Parse(json);
        return AppJson.Read(document.RootElement, start?.Id, start);
    }

    public static AppSpec Spec(string json, AppSpec? start = null)
    {
        var reading = Read(json, start);
        Assert.Empty(reading.Faults.Select(f => $"{f.Path}: {string.Join("; ", f.Errors)}"));
        return reading.Spec!;
    }

    public static string Written(AppSpec spec)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            AppJsonOut.Fields(json, spec, null);
            json.WriteEndObject();
        }
        return System.Text.Encoding.UTF8.GetString(stream.ToArray());
    }
}
