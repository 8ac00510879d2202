using System.Collections;
using System.Reflection;
using Drover.ControlPlane.Store;
using Drover.Core;
using Drover.Core.Apps;
using Drover.Core.State;
using Drover.Testing;
using Xunit;

namespace Drover.ControlPlane.Tests.Store;

public sealed class ClusterSchemaTests
{
    public static TheoryData<string> Kinds => [.. Samples.Changes.Select(change => change.GetType().Name)];

    [Theory, MemberData(nameof(Kinds))]
    public void Every_stored_record_comes_back_as_it_was(string kind)
    {
        var change = Samples.Changes.Single(c => c.GetType().Name == kind);
        var entry = new StoredEntry(ClusterSchema.KeyOf(change), ClusterSchema.ValueOf(change)!.Value, 1);
        Assert.Equal(change, ClusterSchema.Read(entry));
    }

    // Without this a property added later could get lost unnoticed.
    [Theory, MemberData(nameof(Kinds))]
    public void The_samples_set_every_property(string kind)
    {
        var change = Samples.Changes.Single(c => c.GetType().Name == kind);
        Assert.Empty(Defaults(change.GetType().GetProperties().First(p => p.Name != "Durable").GetValue(change)!, kind));
    }

    [Fact]
    public void Every_durable_change_has_a_sample_or_removes()
    {
        var kinds = typeof(ClusterChange).GetNestedTypes().Where(t => t.IsSubclassOf(typeof(ClusterChange))).Select(t => t.Name).Where(n => n.StartsWith("Put", StringComparison.Ordinal) && n != "PutPresence");
        Assert.Equal(kinds.Order(), Samples.Changes.Select(c => c.GetType().Name).Order());
    }

    [Fact]
    public void The_id_in_a_key_is_one_segment()
    {
        Assert.Equal("apps/%2Fshop%2Fdb", ClusterSchema.KeyOf(new ClusterChange.PutApp(Samples.App)));
        Assert.Equal("volumes/mongodata", ClusterSchema.KeyOf(new ClusterChange.RemoveVolume(new("mongodata"))));
    }

    [Fact]
    public void An_empty_app_keeps_its_defaults()
    {
        var app = Samples.App with { Spec = new AppSpec { Id = new("/x"), Unreachable = null } };
        var change = new ClusterChange.PutApp(app);
        Assert.Equal(change, ClusterSchema.Read(new StoredEntry(ClusterSchema.KeyOf(change), ClusterSchema.ValueOf(change)!.Value, 1)));
    }

    [Fact]
    public void A_damaged_entry_says_which_and_what_to_do()
    {
        var error = Assert.Throws<InvalidDataException>(() => ClusterSchema.Read(new("apps/x", "{"u8.ToArray(), 1)));
        Assert.Contains("'apps/x'", error.Message, StringComparison.Ordinal);
        Assert.Contains("backup", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("null")]
    [InlineData("{\"spec\":{}}")]
    public void A_deployment_that_another_version_stored_is_told_and_not_passed_over(string before)
    {
        var stored = $$"""{"id":"d1","version":"2026-01-05T12:00:00Z","affectedApps":["/a"],"steps":[],"currentStep":0,"startedAt":"2026-01-05T12:00:00Z","waitsFor":null,"before":{{before}} }""";
        var error = Assert.Throws<InvalidDataException>(() => ClusterSchema.Read(new("deployments/d1", System.Text.Encoding.UTF8.GetBytes(stored), 1)));
        Assert.Contains("'deployments/d1'", error.Message, StringComparison.Ordinal);
        Assert.Contains("another version", error.Message, StringComparison.Ordinal);
    }

    private static IEnumerable<string> Defaults(object value, string path)
    {
        foreach (var property in value.GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(p => p.CanWrite))
        {
            var here = $"{path}.{property.Name}";
            var inner = property.GetValue(value);
            if (inner is null || (inner.GetType().IsValueType && inner.Equals(Activator.CreateInstance(inner.GetType()))))
            {
                yield return here;
                continue;
            }
            if (inner is string) continue;
            if (inner is IEnumerable items)
            {
                var any = false;
                foreach (var item in items)
                {
                    any = true;
                    if (item.GetType().Namespace!.StartsWith("Drover", StringComparison.Ordinal) && item is not Core.Moves.MoveTransition) foreach (var d in Defaults(item, here)) yield return d;
                }
                if (!any) yield return here;
            }
            else if (inner.GetType() is { IsEnum: false, Namespace: { } ns } && ns.StartsWith("Drover", StringComparison.Ordinal))
            {
                foreach (var d in Defaults(inner, here)) yield return d;
            }
        }
    }
}
