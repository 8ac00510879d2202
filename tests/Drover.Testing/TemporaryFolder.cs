namespace Drover.Testing;

/// <summary>A folder of its own, gone with everything in it when disposed.</summary>
public sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("drover-test-").FullName;

    public string File(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>What was used may be at its last write still: a file that appears meanwhile goes with the next try.</summary>
    public void Dispose()
    {
        for (var tries = 0; ; tries++)
        {
            try
            {
                Directory.Delete(Path, recursive: true);
                return;
            }
            catch (IOException) when (tries < MostTries) { /* once more */ }
        }
    }

    private const int MostTries = 20;
}
