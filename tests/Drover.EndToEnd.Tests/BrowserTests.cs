using Drover.Contracts.Api;
using Microsoft.Playwright;
using Xunit;
using static Drover.EndToEnd.Tests.LabFixture;

namespace Drover.EndToEnd.Tests;

/// <summary>What a person sees: todos typed in a real browser are still there after the database moved.</summary>
[Trait("needs", "root")]
public sealed class BrowserTests(LabFixture lab)
{
    private static readonly string[] Titles = ["apples", "oranges", "pears <b>&amp;</b>"];

    [Fact]
    public async Task Todos_typed_before_a_move_are_on_the_page_after_it()
    {
        const string db = "/browser-db", app = "/browser-app";
        await lab.Deploy(Definitions.Database(db, "browserdata", "10.255.0.60"));
        await lab.Deploy(Definitions.Client("postgres/app.json", app, "10.255.0.61", "10.255.0.60", 8060));
        await lab.Serving(db);
        await lab.Serving(app);

        using var playwright = await Playwright.CreateAsync();
        await using var browser = await playwright.Chromium.LaunchAsync(new()
        {
            ExecutablePath = new[] { "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome" }.First(File.Exists),
            Args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
        });
        var page = await browser.NewPageAsync();
        var url = $"http://{AddressOf(Node1)}:8060/";
        using var http = new HttpClient();
        await Until("the app to answer", async () => (await http.GetAsync(new Uri(url + "v1"))).IsSuccessStatusCode);
        await page.GotoAsync(url);
        foreach (var title in Titles)
        {
            await page.FillAsync("#new-todo", title);
            await page.PressAsync("#new-todo", "Enter");
            await page.Locator(".todo-list label", new() { HasText = title }).WaitForAsync();
        }
        Assert.Equal("Done", (await lab.Ended((await lab.Begin(new MoveRequest(db, null, "disk=ssd", false, 0))).Id)).State);

        await page.GotoAsync(url);
        await page.Locator("body[data-loaded=true]").WaitForAsync(new() { Timeout = 30_000 });
        Assert.Equal(Titles, await page.Locator(".todo-list label").AllTextContentsAsync());
        await lab.Delete(app);
        await lab.Delete(db);
    }
}
