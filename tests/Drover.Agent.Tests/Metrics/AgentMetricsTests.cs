using System.Net;
using Drover.Agent.Metrics;
using Drover.Agent.Reconcile;
using Drover.Agent.Tests.Transfers;
using Drover.Contracts.Agent;
using Drover.Contracts.Metrics;
using Drover.Testing;
using Drover.Testing.Agents;
using Drover.Testing.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Drover.Agent.Tests.Metrics;

public sealed class AgentMetricsTests
{
    private static AgentOptions Options(string? metrics) => AgentOptionsReader.Read(
        ["--node", "node1", "--control", "https://172.16.255.250:4524", "--address", "172.16.255.251", "--certificates", "/c", "--pool", "/p", .. metrics is null ? (string[])[] : ["--metrics", metrics]], _ => null, _ => null);

    private static MetricBook Whole()
    {
        var book = new MetricBook(TimeProvider.System);
        book.AddProcess(typeof(AgentMeters).Assembly);
        AgentMeters.Add(book, TimeProvider.System);
        return book;
    }

    [Fact]
    public void The_page_lists_every_metric()
    {
        using var book = Whole();
        Assert.Equal("", MetricPage.Fault("drover-agent", book));
        Assert.All(book.All, m => Assert.True(m.Help.EndsWith('.') && m.Help.Length > 10, m.Name));
    }

    [Fact]
    public async Task They_are_read_over_http_where_the_agent_is_told_to_and_nothing_else_is_there()
    {
        using var book = Whole();
        await using var server = new MetricsServer(book, Options("127.0.0.1:0"), NullLoggerFactory.Instance);
        await server.StartAsync(default);
        using var http = new HttpClient { BaseAddress = new($"http://{server.Endpoint}") };
        using var answer = await http.GetAsync(new Uri("/metrics", UriKind.Relative));
        var text = await answer.Content.ReadAsStringAsync();
        Assert.Equal((HttpStatusCode.OK, "text/plain"), (answer.StatusCode, answer.Content.Headers.ContentType!.MediaType));
        foreach (var metric in book.All) Assert.Contains($"# TYPE {metric.Name} ", text, StringComparison.Ordinal);
        Assert.Matches(@"\nprocess_resident_memory_bytes [1-9]\d+\n", text);
        Assert.Matches(@"\nprocess_open_fds [1-9]\d*\n", text);
        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync(new Uri("/", UriKind.Relative))).StatusCode);
        using var posted = await http.PostAsync(new Uri("/metrics", UriKind.Relative), null);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, posted.StatusCode);
        await server.StopAsync(default);
    }

    [Fact]
    public async Task Unless_it_is_told_to_it_listens_nowhere()
    {
        using var book = Whole();
        await using var server = new MetricsServer(book, Options(null), NullLoggerFactory.Instance);
        await server.StartAsync(default);
        Assert.Null(server.Endpoint);
        foreach (var wrong in new[] { "4526", "host:4526", "localhost" })
            Assert.Contains($"--metrics '{wrong}'", Assert.Throws<OptionsInvalid>(() => Options(wrong)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Steps_are_counted_by_what_they_do_and_how_they_end()
    {
        using var book = new MetricBook(TimeProvider.System);
        var told = new ToldObservations();
        var work = new Work();
        await using var steps = new StepExecutor(work, told, NullLogger<StepExecutor>.Instance, new StepMeters(book, TimeProvider.System));
        steps.Accept(new Step { StepId = "1", Round = new SendRound { Final = true } });
        steps.Accept(new Step { StepId = "2", PreStop = new RunPreStop() });
        steps.Accept(new Step { StepId = "3", Prepare = new PrepareTarget() });
        await told.Result("1");
        await told.Result("2");
        await work.Prepares.Task.WaitAsync(TestCluster.Patience);
        Assert.Equal(1, book.Value("drover_agent_steps_under_way", "prepare"));
        steps.Cancel("3");
        await told.Result("3");
        Assert.Equal((1, 1, 1, 0), (book.Value("drover_agent_steps_total", "final_round", "done"), book.Value("drover_agent_steps_total", "pre_stop", "failed"),
            book.Value("drover_agent_steps_total", "prepare", "cancelled"), book.Value("drover_agent_steps_under_way", "prepare")));
        Assert.Equal((1L, 0L), (book.Count("drover_agent_step_seconds", "final_round"), book.Count("drover_agent_step_seconds", "pre_stop")));
        Assert.Equal((100, 60, 7, 2), (book.Value("drover_agent_sent_bytes_total"), book.Value("drover_agent_sent_wire_bytes_total"), book.Value("drover_agent_resent_bytes_total"), book.Value("drover_agent_redials_total")));
    }

    [Fact]
    public async Task What_arrives_and_what_is_refused_is_counted()
    {
        await using var pair = await TransferPair.Open();
        var outcome = await pair.Send(pair.Round("s1"));
        // The sender is done first: the receiver counts when it has heard so.
        using var limit = new CancellationTokenSource(TestCluster.Patience);
        while (pair.Metrics.Value("drover_agent_received_transfers_total") == 0 && !limit.IsCancellationRequested) await Task.Yield();
        Assert.Equal((1, outcome.Bytes, 0), (pair.Metrics.Value("drover_agent_received_transfers_total"), pair.Metrics.Value("drover_agent_received_bytes_total"), pair.Metrics.Value("drover_agent_refused_transfers_total")));
        await Assert.ThrowsAsync<Agent.Transfers.RoundFailed>(() => pair.Send(pair.Round("s2", ticket: pair.Ticket("other"))));
        Assert.Equal(1, pair.Metrics.Value("drover_agent_refused_transfers_total"));
    }

    private sealed class Work : IStepWork
    {
        public TaskCompletionSource Prepares { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public async Task<StepResult> Do(Step step, Action<StepProgress> progress, CancellationToken cancel)
        {
            if (step.WorkCase == Step.WorkOneofCase.Prepare)
            {
                Prepares.TrySetResult();
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancel);
            }
            if (step.WorkCase == Step.WorkOneofCase.PreStop) throw new StepFailed(StepErrorKind.Operator, "no");
            return new StepResult { Round = new RoundOutcome { Bytes = 100, WireBytes = 60, ResentBytes = 7, Redials = 2 } };
        }
    }
}
