using System.Text.Json;
using Drover.Core;
using Drover.Core.Apps;

namespace Drover.ControlPlane.Marathon;

/// <summary>`readinessChecks`, with Marathon's defaults: HTTP on `/`, port `http-api`, interval 30 s, timeout 10 s, ready at status 200. And their results.</summary>
public static class ReadinessJson
{
    private const int Most = 1, MostCodes = 64;

    public static EquatableList<ReadinessCheck>? Read(JsonFields fields, AppSpec app)
    {
        if (fields.Objects("readinessChecks") is not { } checks) return null;
        if (checks.Count > Most) fields.Violations.Rule("/readinessChecks", $"holds {checks.Count} checks; an app has at most one readiness check, more can be healthChecks");
        return checks.Select(check => One(check, app)).ToEquatableList();
    }

    private static ReadinessCheck One(JsonFields check, AppSpec app)
    {
        var protocol = check.String("protocol") ?? "HTTP";
        if (protocol is not ("HTTP" or "HTTPS")) check.Violations.Rule(check.At("protocol"), "must be HTTP or HTTPS");
        var port = check.String("portName") ?? "http-api";
        var names = (app.Container is { Network: ContainerNetwork.Bridge } container ? container.PortMappings.Select(p => p.Name) : app.Ports.Select(p => p.Name)).OfType<string>().ToList();
        if (!names.Contains(port))
            check.Violations.Rule(check.At("portName"), $"'{port}' is the name of no port of this app; {(names.Count == 0 ? "its ports have no names: give one" : $"there are {string.Join(", ", names)}")}");
        var interval = Positive(check, "intervalSeconds", 30);
        var timeout = Positive(check, "timeoutSeconds", 10);
        if (timeout >= interval) check.Violations.Rule(check.At("timeoutSeconds"), FormattableString.Invariant($"must be less than intervalSeconds, {interval.TotalSeconds}; it was {timeout.TotalSeconds}"));
        var name = check.String("name") ?? "readinessCheck";
        if (name.Length == 0) check.Violations.Rule(check.At("name"), "must not be empty; leave it out for readinessCheck");
        return new(name, protocol == "HTTPS" ? HealthProtocol.Https : HealthProtocol.Http, check.String("path") ?? "/", port, interval, timeout, Codes(check), check.Boolean("preserveLastResponse") ?? false);
    }

    private static EquatableList<int> Codes(JsonFields check)
    {
        if (check.Array("httpStatusCodesForReady") is not { } items) return [200];
        var codes = new List<int>(items.Count);
        foreach (var (value, path) in items)
        {
            if (value.ValueKind != JsonValueKind.Number || !value.TryGetInt32(out var code)) check.Violations.WrongType(path, "error.expected.jsnumber", $"must be a status code such as 200; it was {JsonFields.Described(value)}");
            else if (code is < 100 or > 999) check.Violations.Rule(path, $"must be between 100 and 999; it was {code}");
            else codes.Add(code);
        }
        if (items.Count is 0 or > MostCodes) check.Violations.Rule(check.At("httpStatusCodesForReady"), $"must name between 1 and {MostCodes} status codes; leave it out for 200");
        return codes.ToEquatableList();
    }

    private static TimeSpan Positive(JsonFields check, string name, int otherwise)
    {
        var given = AppJson.Seconds(check, name);
        if (given == TimeSpan.Zero) check.Violations.Rule(check.At(name), "must be more than 0 seconds");
        return given ?? TimeSpan.FromSeconds(otherwise);
    }

    /// <summary>Left out where there are none, as Marathon does.</summary>
    public static void Write(Utf8JsonWriter json, EquatableList<ReadinessCheck> checks)
    {
        if (checks.Count == 0) return;
        json.WriteStartArray("readinessChecks");
        foreach (var check in checks)
        {
            json.WriteStartObject();
            json.WriteStartArray("httpStatusCodesForReady");
            foreach (var code in check.ReadyStatusCodes) json.WriteNumberValue(code);
            json.WriteEndArray();
            json.WriteNumber("intervalSeconds", check.Interval.TotalSeconds);
            json.WriteString("name", check.Name);
            json.WriteString("path", check.Path);
            json.WriteString("portName", check.PortName);
            json.WriteBoolean("preserveLastResponse", check.KeepsAnswer);
            json.WriteString("protocol", HealthJson.Name(check.Protocol));
            json.WriteNumber("timeoutSeconds", check.Timeout.TotalSeconds);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    /// <summary>What <see cref="Readiness.ResultsOf"/> tells, in a field `readinessCheckResults`.</summary>
    public static void Results(Utf8JsonWriter json, IEnumerable<(TaskId Task, ReadinessResult Result)> results)
    {
        json.WriteStartArray("readinessCheckResults");
        foreach (var (task, result) in results)
        {
            json.WriteStartObject();
            json.WriteString("name", result.Name);
            json.WriteString("taskId", task.Value);
            json.WriteBoolean("ready", result.Ready);
            if (result.Answer is { } answer)
            {
                json.WriteStartObject("lastResponse");
                json.WriteNumber("status", answer.Status);
                json.WriteString("contentType", answer.ContentType);
                json.WriteString("body", answer.Body);
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }
}
