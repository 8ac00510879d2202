using Drover.ControlPlane.Store.Sqlite;
using Drover.Core.Trust;

namespace Drover.ControlPlane.Access;

/// <summary>`drover-control init`: the cluster's authority and its first admin token, before anything listens.</summary>
public static class InitCommand
{
    private const string TokenName = "admin";

    /// <param name="output">Gets the token; it is written nowhere else.</param>
    public static async Task<int> Run(CommandLine.Init init, TextWriter output, TimeProvider time)
    {
        using var folder = DataFolder.Hold(init.Data);
        await using var store = SqliteStore.Open(folder.Database, time);
        using var book = await TrustBook.Open(store);
        var now = time.GetUtcNow();
        if (book.State.Tokens.Any(t => t.Role == ApiRole.Admin && !t.Expired(now)) && !init.NewAdmin)
            throw new InvalidOperationException($"'{init.Data}' has its admin token already: use that, or make another with --new-admin.");
        using var audit = await AuditLog.Open(folder, store, time);
        using var authorities = new Authorities(folder, book, time, []);
        var secret = Secrets.Make(ApiTokens.Prefix);
        var name = Enumerable.Range(1, TrustRules.MostTokens + 1).Select(n => n == 1 ? TokenName : $"{TokenName}-{n}").First(n => book.State.Tokens.All(t => t.Name != n));
        var names = init.Names.Split(',', StringSplitOptions.RemoveEmptyEntries);
        var refusal = await book.Decide(state => TrustRules.AddToken(state with { Names = [.. state.Names.Concat(names).Distinct()] }, new(name, ApiRole.Admin, Secrets.Hash(secret), now, null), now), CancellationToken.None);
        if (refusal is not null) throw new InvalidOperationException(refusal);
        await audit.Add("root", "system", "this machine", "init", "done", $"token {name}, role admin; authority {authorities.Current.Pin}");
        await output.WriteLineAsync(
            $"""
            authority  {folder.AuthorityCertificateOf(authorities.Current.Generation)}
            pin        {authorities.Current.Pin}
            token      {secret}
            The token is admin's and is shown only now: keep it where only admins read it, and give it to `drover --token-file FILE` or DROVER_TOKEN.
            """);
        return 0;
    }
}
