using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Drover.Contracts.Hosting;
using Drover.Contracts.Tracing;
using Drover.Testing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Drover.Agent.Tests.Tracing;

[Collection("traces")]
public sealed class JsonLinesTests
{
    private const string Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    private static JsonElement[] Logged(Action<ILogger> work)
    {
        using var to = new MemoryStream();
        using (var logs = LoggerFactory.Create(b => b.AddProvider(new JsonLines(to, new FakeTimeProvider(Samples.Moment), ("node", "node1"))))) work(logs.CreateLogger("Drover.Test"));
        return [.. Encoding.UTF8.GetString(to.ToArray()).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonDocument.Parse(l).RootElement)];
    }

    [Fact]
    public void What_a_message_names_is_a_field_of_its_own()
    {
        var line = Assert.Single(Logged(log => log.LogWarning(new InvalidOperationException("why"), "move {Move} of {App}: \"{Message}\" after {Count} tries, {Whole}", "m1", "/db", "two\nlines", 3, true)));
        Assert.Equal("""{"time":"2026-01-05T12:00:00.123Z","level":"warn","logger":"Drover.Test","message":"move m1 of /db: \"two\nlines\" after 3 tries, True","move":"m1","app":"/db","message_":"two\nlines","count":3,"whole":true,"node":"node1","exception":"System.InvalidOperationException: why"}""", line.GetRawText());
    }

    [Fact]
    public void A_message_of_another_node_keeps_it_and_each_name_is_there_once()
    {
        var line = Assert.Single(Logged(log => log.LogInformation("{Node} and {Node}", "node2", "node3")));
        Assert.Equal(["node2"], line.EnumerateObject().Where(f => f.Name == "node").Select(f => f.Value.GetString()));
    }

    [Fact]
    public void The_trace_is_that_of_the_span_or_of_what_is_worked_on()
    {
        using (var listener = new ActivityListener { ShouldListenTo = s => s.Name == Traces.Name, Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData })
        {
            ActivitySource.AddActivityListener(listener);
            var lines = Logged(log =>
            {
                using (var span = Traces.Begin("step", Trace)) log.LogInformation("in {Span}", span!.SpanId.ToHexString());
                using (JsonLines.Within(log, Trace)) log.LogInformation("of a move");
                log.LogInformation("of neither");
            });
            Assert.Equal(("0af7651916cd43dd8448eb211c80319c", lines[0].GetProperty("span").GetString()), (lines[0].GetProperty("traceId").GetString(), lines[0].GetProperty("spanId").GetString()));
            Assert.Equal("0af7651916cd43dd8448eb211c80319c", lines[1].GetProperty("traceId").GetString());
            Assert.False(lines[1].TryGetProperty("spanId", out _) || lines[2].TryGetProperty("traceId", out _));
        }
    }

    [Fact]
    public void The_format_is_chosen_by_name()
    {
        static AgentOptions Read(params string[] more) => AgentOptionsReader.Read(["--node", "n", "--control", "https://172.16.255.250:4524", "--address", "172.16.255.251", "--certificates", "/c", "--pool", "/p", .. more], _ => null, _ => null);
        Assert.False(Read().JsonLog);
        Assert.True(Read("--log-format", "json").JsonLog);
        Assert.Contains("text or json", Assert.Throws<OptionsInvalid>(() => Read("--log-format", "xml")).Message, StringComparison.Ordinal);
        Assert.True(((ControlPlane.CommandLine.Serve)ControlPlane.CommandLine.Parse(["--data", "/d", "--log-format", "json"])).Options.JsonLog);
        Assert.Contains("text or json", ((ControlPlane.CommandLine.Wrong)ControlPlane.CommandLine.Parse(["--data", "/d", "--log-format=xml"])).Why, StringComparison.Ordinal);
    }
}
