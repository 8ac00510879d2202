using Drover.Agent.Link;
using Drover.Contracts.Agent;
using Drover.Testing;
using Xunit;

namespace Drover.Agent.Tests.Link;

public sealed class OutboxTests
{
    private static FromAgent Instance(string id, InstanceCondition condition) => new() { Instance = new InstanceObserved { InstanceId = id, Condition = condition } };

    private static async Task<List<FromAgent>> All(Outbox outbox)
    {
        var all = new List<FromAgent>();
        while (outbox.Count > 0) all.Add(await outbox.Take(CancellationToken.None));
        return all;
    }

    [Fact]
    public async Task Only_the_newest_word_of_an_instance_waits()
    {
        using var outbox = new Outbox();
        outbox.Tell(Instance("a", InstanceCondition.Starting));
        outbox.Tell(Instance("b", InstanceCondition.Starting));
        outbox.Tell(Instance("a", InstanceCondition.Running));
        Assert.Equal([Instance("b", InstanceCondition.Starting), Instance("a", InstanceCondition.Running)], await All(outbox));
    }

    [Fact]
    public async Task A_new_stream_keeps_results_and_drops_what_Hello_tells()
    {
        using var outbox = new Outbox();
        var result = new FromAgent { Result = new StepResult { StepId = "s" } };
        outbox.Tell(Instance("a", InstanceCondition.Running));
        outbox.Tell(result);
        outbox.Tell(new FromAgent { Log = new LogChunk { RequestId = "l" } });
        outbox.BeginStream();
        Assert.Equal([result], await All(outbox));
    }

    [Fact]
    public async Task It_is_bounded_but_never_loses_a_result()
    {
        using var outbox = new Outbox();
        for (var n = 0; n < 10_000; n++) outbox.Tell(new FromAgent { Log = new LogChunk { RequestId = "l" } });
        Assert.Equal(4096, outbox.Count);
        outbox.Tell(new FromAgent { Result = new StepResult { StepId = "s" } });
        Assert.Equal("s", (await All(outbox))[^1].Result?.StepId);
    }

    [Fact]
    public async Task Taking_waits_for_the_next()
    {
        using var outbox = new Outbox();
        var taking = outbox.Take(CancellationToken.None);
        Assert.False(taking.IsCompleted);
        outbox.Tell(Instance("a", InstanceCondition.Running));
        Assert.Equal("a", (await taking).Instance.InstanceId);
    }

    [Fact]
    public void Waits_between_dials_grow_to_a_cap_and_differ()
    {
        var chance = new SeededChance(1);
        var waits = Enumerable.Range(0, 40).Select(n => Backoff.After(n, chance)).ToList();
        Assert.InRange(waits[0], TimeSpan.FromMilliseconds(50), TimeSpan.FromMilliseconds(100));
        Assert.All(waits, w => Assert.InRange(w, TimeSpan.FromMilliseconds(50), TimeSpan.FromSeconds(3)));
        Assert.True(waits.Distinct().Count() > 30);
    }
}
