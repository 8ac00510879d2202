using Xunit;

namespace Drover.ControlPlane.Tests;

public sealed class SmokeTests
{
    [Fact]
    public void The_test_project_runs() => Assert.Equal(2, int.Parse("2", System.Globalization.CultureInfo.InvariantCulture));
}
