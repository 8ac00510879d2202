using Drover.Agent.Volumes;
using Xunit;

namespace Drover.Agent.Tests.Volumes;

/// <summary>Where live data is seen, told from the kernel's list alone.</summary>
public sealed class MountTableTests
{
    private const string Base = """
        22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
        30 22 8:2 / /srv rw,relatime - ext4 /dev/sdb1 rw
        40 22 0:50 / /mnt/nfs rw,relatime - nfs gone:/export rw
        41 22 0:51 / /mnt/fuse rw,relatime - fuse.sshfs host:/ rw
        """;
    private const string Live = "/srv/pool/volumes/db/live/1";

    private static string Showing(string more, string folder = Live)
    {
        var table = MountTable.Parse((Base + "\n" + more).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.Trim()));
        var showing = table.Showing(folder, out var hidden);
        return $"{string.Join(' ', showing)}{(hidden ? " +hidden" : "")}";
    }

    [Theory]
    [InlineData("none", "", "")]
    [InlineData("its own", "50 22 8:2 /pool/volumes/db/live/1 /flocker/db rw,nosuid - ext4 /dev/sdb1 rw", "/flocker/db")]
    [InlineData("of another epoch and of another volume", "50 22 8:2 /pool/volumes/db/live/2 /flocker/db rw - ext4 /dev/sdb1 rw\n51 22 8:2 /pool/volumes/db2/live/1 /flocker/db2 rw - ext4 /dev/sdb1 rw", "")]
    [InlineData("the same path of another disk", "50 22 8:3 /pool/volumes/db/live/1 /flocker/db rw - ext4 /dev/sdc1 rw", "")]
    [InlineData("a second one by hand", "50 22 8:2 /pool/volumes/db/live/1 /flocker/db rw - ext4 /dev/sdb1 rw\n51 22 8:2 /pool/volumes/db/live/1 /mnt/look rw - ext4 /dev/sdb1 rw", "/flocker/db /mnt/look")]
    [InlineData("the pool seen elsewhere too", "50 22 8:2 / /mnt/disk rw - ext4 /dev/sdb1 rw\n51 22 8:2 /pool/volumes/db/live/1 /flocker/db rw - ext4 /dev/sdb1 rw", "/flocker/db")]
    [InlineData("a place with a space", "50 22 8:2 /pool/volumes/db/live/1 /mnt/a\\040b rw - ext4 /dev/sdb1 rw", "/mnt/a b")]
    [InlineData("a stranger's mount on top of it", "50 22 8:2 /pool/volumes/db/live/1 /flocker/db rw - ext4 /dev/sdb1 rw\n51 50 0:50 / /flocker/db rw - nfs gone:/export rw", " +hidden")]
    [InlineData("a stranger's mount over the folder it is in", "50 22 8:2 /pool/volumes/db/live/1 /flocker/db rw - ext4 /dev/sdb1 rw\n51 22 0:50 / /flocker rw - nfs gone:/export rw", " +hidden")]
    [InlineData("on a disk of its own that was there before", "49 22 0:60 / /flocker rw - tmpfs none rw\n50 49 8:2 /pool/volumes/db/live/1 /flocker/db rw - ext4 /dev/sdb1 rw", "/flocker/db")]
    [InlineData("twice in one place", "50 22 8:2 /pool/volumes/db/live/1 /flocker/db rw - ext4 /dev/sdb1 rw\n51 50 8:2 /pool/volumes/db/live/1 /flocker/db rw - ext4 /dev/sdb1 rw", "/flocker/db +hidden")]
    public void It_is_seen_where_a_mount_of_just_this_folder_can_be_reached(string what, string more, string expected) => Assert.Equal((what, expected), (what, Showing(more)));

    [Fact]
    public void A_pool_that_is_no_mount_of_its_own_and_one_that_is_a_part_of_its_disk()
    {
        Assert.Equal("/flocker/db", Showing("50 22 8:1 /var/pool/db /flocker/db rw - ext4 /dev/sda1 rw", "/var/pool/db"));
        Assert.Equal("/flocker/db", Showing("49 22 8:5 /part /var/pool rw - ext4 /dev/sde1 rw\n50 22 8:5 /part/db /flocker/db rw - ext4 /dev/sde1 rw", "/var/pool/db"));
    }

    [Fact]
    public void Where_the_pool_was_mounted_over_the_upper_one_counts()
    {
        const string over = "31 30 8:9 / /srv rw - ext4 /dev/sdz1 rw\n";
        Assert.Equal("/flocker/new", Showing(over + "50 22 8:2 /pool/volumes/db/live/1 /flocker/old rw - ext4 /dev/sdb1 rw\n51 22 8:9 /pool/volumes/db/live/1 /flocker/new rw - ext4 /dev/sdz1 rw"));
    }
}
