using System.Globalization;
using Drover.Contracts.Api;
using Spectre.Console;

namespace Drover.Cli.Output;

/// <summary>A drain as people see it. Pure: from the API's view to lines.</summary>
public static class DrainDrawing
{
    public static string Line(DrainView drain) => drain.State switch
    {
        "Planned" => string.Create(CultureInfo.InvariantCulture, $"node {drain.Node}: {drain.Total} apps would go, {drain.Limit} at once (a plan: nothing was done)"),
        "Done" => $"node {drain.Node} is empty and cordoned: {drain.Total} of {drain.Total} apps gone",
        "Stopped" => $"the drain of {drain.Node} is stopped: {drain.Gone} of {drain.Total} apps gone; it stays cordoned, until: drover node uncordon {drain.Node}",
        _ => $"node {drain.Node}: {drain.Gone} of {drain.Total} apps gone, {drain.Apps.Count(a => a.Move is not null)} under way{(drain.WaitsFor is { } waits ? $", waits for {waits}" : "")}",
    };

    public static Table Draw(DrainView drain)
    {
        var table = Screen.Table("APP", "HOW", "DATA", "TO", "MOVE", "STATE", "WAITS FOR");
        foreach (var app in drain.Apps)
            table.AddRow(Screen.Safe(app.App), Screen.Safe(app.How), Screen.Bytes(app.Bytes), Screen.Safe(app.To), Screen.Safe(app.Move), Screen.Safe(app.MoveState), Screen.Safe(app.WaitsFor));
        return table;
    }
}
