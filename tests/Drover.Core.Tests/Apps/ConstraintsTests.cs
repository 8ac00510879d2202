using Drover.Core.Apps;
using Drover.Core.Nodes;
using Xunit;
using static Drover.Core.Apps.ConstraintOperator;

namespace Drover.Core.Tests.Apps;

public sealed class ConstraintsTests
{
    // node's rack, racks of the copies placed (oldest first, "-" has none), fits
    [Theory]
    [InlineData(Unique, null, "a", "b c", true)]
    [InlineData(Unique, null, "a", "b a", false)]
    [InlineData(Unique, null, "-", "", false)]
    [InlineData(Cluster, "a", "a", "b", true)]
    [InlineData(Cluster, "a", "b", "", false)]
    [InlineData(Cluster, null, "b", "", true)]
    [InlineData(Cluster, null, "b", "b a", true)]
    [InlineData(Cluster, null, "a", "b a", false)]
    [InlineData(GroupBy, null, "a", "", true)]
    [InlineData(GroupBy, null, "c", "a a b", true)]
    [InlineData(GroupBy, null, "b", "a a b", true)]
    [InlineData(GroupBy, null, "a", "a a b", false)]
    [InlineData(GroupBy, "3", "a", "a b", false)]
    [InlineData(GroupBy, "3", "c", "a b", true)]
    [InlineData(GroupBy, "3", "d", "a b c", true)]
    [InlineData(GroupBy, "3", "a", "a b c", true)]
    [InlineData(GroupBy, "2", "-", "a b", false)]
    [InlineData(Like, "rack-[12]", "rack-1", "", true)]
    [InlineData(Like, "rack", "rack-1", "", false)]
    [InlineData(Like, "a|b", "ab", "", false)]
    [InlineData(Like, ".*", "-", "", false)]
    [InlineData(Unlike, "rack-[12]", "rack-3", "", true)]
    [InlineData(Unlike, "rack-[12]", "rack-1", "", false)]
    [InlineData(Unlike, "rack", "rack-1", "", true)]
    [InlineData(Unlike, ".*", "-", "", true)]
    [InlineData(MaxPer, "2", "a", "a b", true)]
    [InlineData(MaxPer, "2", "a", "a a", false)]
    [InlineData(Is, "ssd", "ssd", "", true)]
    [InlineData(Is, "ssd", "SSD", "", false)]
    [InlineData(Is, "1.50", "1.5", "", true)]
    [InlineData(Is, "2", "2.0004", "", true)]
    public void An_operator_takes_what_Marathon_takes(ConstraintOperator op, string? value, string rack, string placed, bool fits)
    {
        var reason = Constraints.Refusal(new("rack", op, value), On(rack), [.. placed.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(On)]);
        Assert.Equal(fits, reason is null);
        if (reason is not null) Assert.StartsWith($"[rack, {Constraints.Name(op)}", reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("hostname", "node1.lab", true)]
    [InlineData("@hostname", "node1.lab", true)]
    [InlineData("hostname", "node1", false)]
    public void The_host_name_is_a_field_like_another(string field, string value, bool fits) =>
        Assert.Equal(fits, Constraints.Refusal(new(field, Is, value), Given.Node("node1"), []) is null);

    [Theory]
    [InlineData("unique", Unique)]
    [InlineData("Cluster", Cluster)]
    [InlineData("group_by", GroupBy)]
    [InlineData("LIKE", Like)]
    [InlineData("unLIKE", Unlike)]
    [InlineData("max_per", MaxPer)]
    [InlineData("is", Is)]
    public void Operators_are_read_in_any_case(string text, ConstraintOperator op)
    {
        Assert.True(Constraints.TryParseOperator(text, out var parsed));
        Assert.Equal(op, parsed);
    }

    [Fact]
    public void An_unknown_operator_is_not_read() => Assert.False(Constraints.TryParseOperator("NEAR", out _));

    [Theory]
    [InlineData(Unique, "x", "UNIQUE does not accept a value")]
    [InlineData(Like, null, "LIKE requires a non-empty regular expression")]
    [InlineData(Unlike, "(", "is no valid regular expression")]
    [InlineData(MaxPer, "many", "MAX_PER requires an integer value")]
    [InlineData(MaxPer, null, "MAX_PER requires an integer value")]
    [InlineData(GroupBy, "x", "GROUP_BY takes an integer")]
    [InlineData(Is, "a b", "IS requires a value")]
    public void A_malformed_constraint_is_named_with_its_reason(ConstraintOperator op, string? value, string reason) =>
        Assert.Contains(reason, Constraints.Problem(new("rack", op, value)), StringComparison.Ordinal);

    [Fact]
    public void An_expression_that_would_run_for_ever_is_a_reason_and_not_a_hang()
    {
        var reason = Constraints.Refusal(new("rack", Like, "(a+)+b"), On(new string('a', 60)), []);
        Assert.Contains("took longer than", reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[30-40,1-5]", "[1-5,30-40]")]
    [InlineData("{b,a}", "{a,b}")]
    [InlineData("0010", "10")]
    [InlineData("0.0005", "0")]
    [InlineData("1.2.3", "1.2.3")]
    public void Values_compare_in_Mesos_text_form(string attribute, string value) => Assert.Equal(value, Constraints.ValueOf(On(attribute), "rack"));

    private static Node On(string rack) => Given.Node("n") with { Attributes = rack == "-" ? [] : [new("rack", rack)] };
}
