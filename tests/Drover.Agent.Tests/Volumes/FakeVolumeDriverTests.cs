using Drover.Agent.Volumes;
using Drover.Conformance;
using Drover.Core;
using Drover.Testing;
using Drover.Testing.Volumes;

namespace Drover.Agent.Tests.Volumes;

public sealed class FakeVolumeDriverTests : VolumeDriverSuite
{
    private int _pools;

    protected override Task<IPoolBench> NewPool(long? mebibytes = null) => Task.FromResult<IPoolBench>(new Bench(new SeededChance(++_pools), mebibytes));

    private sealed class Bench(IChance chance, long? mebibytes) : IPoolBench
    {
        private readonly FakePool _pool = new(mebibytes << 20);
        private FakeVolumeDriver? _driver;

        private FakeVolumeDriver Fake => _driver ??= new(_pool, chance);
        public IVolumeDriver Driver => Fake;

        public Task Restart()
        {
            _driver = null;
            return Task.CompletedTask;
        }

        public void CutShortAt(string point) => Fake.Reached = p => { if (p == point) throw new CutShort(p); };
        public void Write(VolumeName volume, string file, byte[] contents) => Fake.Write(volume, file, contents);
        public void Delete(VolumeName volume, string file) => Fake.Delete(volume, file);
        public IOpenFile Open(VolumeName volume, string file) => new OpenFile(Fake, volume, file);
        public string? Contents(VolumeName volume, Epoch epoch) => Fake.Contents(volume, epoch);
        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    private sealed class OpenFile(FakeVolumeDriver driver, VolumeName volume, string file) : IOpenFile
    {
        private readonly IDisposable _use = driver.Use(volume);

        public void Write(byte[] contents) => driver.Write(volume, file, contents);
        public void Dispose() => _use.Dispose();
    }
}
