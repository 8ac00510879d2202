using System.Globalization;
using System.Text.Json;
using CsCheck;
using Drover.ControlPlane.Marathon;
using Drover.Core;
using Drover.Core.Apps;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon;

public sealed class AppJsonTests
{
    private const string Image = "\"container\":{\"docker\":{\"image\":\"busybox\"}}";

    [Fact]
    public void The_demos_database_is_taken_to_the_letter()
    {
        var spec = Dialects.Spec(Dialects.Db);
        Assert.Equal(new AppId("/mongo"), spec.Id);
        Assert.Null(spec.Command);
        Assert.Equal((0.1, 128.0, 1), (spec.Cpus, spec.MemoryMiB, spec.Instances));
        Assert.Equal([new Constraint("disk", ConstraintOperator.Cluster, "spinning")], spec.Constraints);
        var container = spec.Container!;
        Assert.Equal(("mongo", ContainerNetwork.Bridge), (container.Image, container.Network));
        Assert.Equal([new VolumeMount(new("mongodata"), "/data/db", false, VolumeNaming.HostPath)], container.Volumes);
        Assert.Equal(new OverlayAttachment(new("weave"), "10.255.0.10/24"), container.Overlay);
        Assert.Empty(container.PortMappings);
        // Marathon does not know forcePullImage beside docker and ignored it; it counts inside docker only.
        Assert.False(container.ForcePull);
    }

    [Fact]
    public void The_demos_app_is_taken_to_the_letter()
    {
        var spec = Dialects.Spec(Dialects.App);
        Assert.Equal([new PortMapping(8000, 8000, 8000, "tcp", null, [])], spec.Container!.PortMappings);
        Assert.Empty(spec.Ports);
        Assert.Equal([new EnvVar("WEAVE_CIDR", "10.255.0.11/24"), new EnvVar("MONGO_URI", "mongodb://10.255.0.10:27017/todos")], spec.Env);
        Assert.Equal("10.255.0.11/24", spec.Container.Overlay!.Cidr);
    }

    [Theory]
    [InlineData("{\"id\":\"a\",\"container\":{\"docker\":{\"image\":\"i\"},\"volumes\":[{\"containerPath\":\"/d\",\"hostPath\":\"/flocker/v\",\"mode\":\"RW\"}]}}", VolumeNaming.HostPath, null)]
    [InlineData("{\"id\":\"a\",\"container\":{\"docker\":{\"image\":\"i\",\"parameters\":[{\"key\":\"volume-driver\",\"value\":\"flocker\"},{\"key\":\"volume\",\"value\":\"v:/d\"}]}}}", VolumeNaming.DockerParameter, "flocker")]
    [InlineData("{\"id\":\"a\",\"container\":{\"docker\":{\"image\":\"i\",\"parameters\":[{\"key\":\"v\",\"value\":\"v:/d\"},{\"key\":\"volume-driver\",\"value\":\"drover\"}]}}}", VolumeNaming.DockerParameter, "drover")]
    [InlineData("{\"id\":\"a\",\"container\":{\"docker\":{\"image\":\"i\"},\"volumes\":[{\"containerPath\":\"/d\",\"mode\":\"RW\",\"external\":{\"name\":\"v\",\"provider\":\"drover\"}}]}}", VolumeNaming.External, "drover")]
    [InlineData("{\"id\":\"a\",\"container\":{\"docker\":{\"image\":\"i\"},\"volumes\":[{\"containerPath\":\"/d\",\"mode\":\"RW\",\"external\":{\"name\":\"v\",\"provider\":\"dvdi\",\"options\":{\"dvdi/driver\":\"flocker\"}}}]}}", VolumeNaming.External, "flocker")]
    [InlineData("{\"id\":\"a\",\"container\":{\"docker\":{\"image\":\"i\",\"parameters\":[{\"key\":\"v\",\"value\":\"/flocker/v:/d\"}]}}}", VolumeNaming.HostPath, null)]
    public void A_volume_named_in_any_way_is_the_same_volume_and_is_told_as_it_was_named(string json, VolumeNaming naming, string? driver)
    {
        var spec = Dialects.Spec(json);
        var volume = Assert.Single(spec.Volumes);
        Assert.Equal((new VolumeName("v"), "/d", naming, driver), (volume.Name, volume.ContainerPath, volume.Naming, volume.Driver));
        Assert.Empty(spec.Container!.Parameters);
        Assert.Equal(spec, Dialects.Spec(Dialects.Written(spec)));
    }

    [Fact]
    public void Docker_parameters_of_others_go_to_docker_as_they_stand()
    {
        var spec = Dialects.Spec("""{"id":"a","container":{"docker":{"image":"i","parameters":[{"key":"--dns","value":"10.0.0.1"},{"key":"hostname","value":"h"},{"key":"v","value":"/srv:/srv"}]}}}""");
        Assert.Equal(["--dns=10.0.0.1", "hostname=h", "v=/srv:/srv"], spec.Container!.Parameters.Select(p => $"{p.Key}={p.Value}"));
        Assert.Empty(spec.Volumes);
    }

    [Theory]
    [InlineData("{\"id\":123,%}", "/id", "must be a string")]
    [InlineData("{%}", "/id", "must be given")]
    [InlineData("{\"id\":\"Bad_Id\",%}", "/id", "lower-case letters")]
    [InlineData("{\"id\":\"/\",%}", "/id", "must name an app")]
    [InlineData("{\"id\":\"/a/../b\",%}", "/id", "without '.' and '..'")]
    [InlineData("{\"id\":\"/a/tasks\",%}", "/id", "must not end in 'tasks'")]
    [InlineData("{\"id\":\"a\",\"cpus\":\"much\",%}", "/cpus", "must be a number")]
    [InlineData("{\"id\":\"a\",\"cpus\":0,%}", "/cpus", "at least 0.001")]
    [InlineData("{\"id\":\"a\",\"mem\":-1,%}", "/mem", "at least 0")]
    [InlineData("{\"id\":\"a\",\"mem\":[],%}", "/mem", "a list")]
    [InlineData("{\"id\":\"a\",\"instances\":1.5,%}", "/instances", "whole number")]
    [InlineData("{\"id\":\"a\",\"instances\":-1,%}", "/instances", "between 0 and")]
    [InlineData("{\"id\":\"a\",\"env\":[],%}", "/env", "must be an object")]
    [InlineData("{\"id\":\"a\",\"env\":{\"A\":1},%}", "/env/A", "double quotes")]
    [InlineData("{\"id\":\"a\",\"env\":{\"A\":{\"secret\":\"s\"}},%}", "/env/A", "secrets are not kept")]
    [InlineData("{\"id\":\"a\",\"env\":{\"A\":\"\\ud800\"},%}", "/env/A", "Unicode")]
    [InlineData("{\"id\":\"a\",\"constraints\":[[\"disk\",\"NEAR\",\"x\"]],%}", "/constraints(0)", "operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS; it was 'NEAR'")]
    [InlineData("{\"id\":\"a\",\"constraints\":[[\"disk\"]],%}", "/constraints(0)", "2 or 3 fields")]
    [InlineData("{\"id\":\"a\",\"constraints\":[[\"rack\",\"MAX_PER\",\"x\"]],%}", "/constraints(0)", "MAX_PER requires an integer value")]
    [InlineData("{\"id\":\"a\",\"constraints\":[[\"rack\",\"LIKE\"]],%}", "/constraints(0)", "LIKE and UNLIKE require a non-empty, regular expression value")]
    [InlineData("{\"id\":\"a\",\"constraints\":[[\"rack\",\"LIKE\",\"(\"]],%}", "/constraints(0)", "not a valid regular expression")]
    [InlineData("{\"id\":\"a\",\"constraints\":[[\"hostname\",\"UNIQUE\",\"x\"]],%}", "/constraints(0)", "UNIQUE does not accept a value")]
    [InlineData("{\"id\":\"a\",\"constraints\":\"disk\",%}", "/constraints", "must be a list")]
    [InlineData("{\"id\":\"a\",\"cmd\":\"x\",\"args\":[\"y\"],%}", "/", "not both")]
    [InlineData("{\"id\":\"a\",\"cmd\":\"sleep 1\"}", "/container", "must be given")]
    [InlineData("{\"id\":\"a\",\"container\":{\"docker\":{}}}", "/container/docker/image", "must name the image")]
    [InlineData("{\"id\":\"a\",\"networks\":[{\"mode\":\"container/bridge\"}],\"env\":{\"WEAVE_CIDR\":\"10.255.0.0/24\"},%}", "/env/WEAVE_CIDR", "address of its network")]
    [InlineData("{\"id\":\"a\",\"networks\":[{\"mode\":\"container/bridge\"}],\"env\":{\"WEAVE_CIDR\":\"ten\"},%}", "/env/WEAVE_CIDR", "such as 10.255.0.10/24")]
    [InlineData("{\"id\":\"a\",\"container\":{\"docker\":{\"image\":\"i\",\"parameters\":[{\"key\":\"memmory\",\"value\":\"1g\"}]}}}", "/container/docker/parameters(0)/key", "'memmory' is not known: remove it")]
    [InlineData("{\"id\":\"a\",\"container\":{\"docker\":{\"image\":\"i\",\"parameters\":[{\"key\":\"restart\",\"value\":\"always\"}]}}}", "/container/docker/parameters(0)/key", "Leave it out")]
    [InlineData("{\"id\":\"a\",\"container\":{\"docker\":{\"image\":\"i\",\"parameters\":[{\"key\":\"volume-driver\",\"value\":\"rexray\"}]}}}", "/container/docker/parameters(0)/key", "flocker or drover")]
    [InlineData("{\"id\":\"a\",\"uris\":[\"http://x/y\"],%}", "/uris", "not fetched")]
    [InlineData("{\"id\":\"a\",\"upgradeStrategy\":{\"minimumHealthCapacity\":2},%}", "/upgradeStrategy/minimumHealthCapacity", "between 0 and 1")]
    [InlineData("{\"id\":\"a\",\"healthChecks\":[{\"protocol\":\"PING\"}],%}", "/healthChecks(0)/protocol", "must be HTTP")]
    [InlineData("{\"id\":\"a\",\"healthChecks\":[{\"portIndex\":3}],%}", "/healthChecks(0)/portIndex", "must address an element")]
    [InlineData("{\"id\":\"a\",\"ports\":[99999],%}", "/ports(0)", "65535")]
    [InlineData("{\"id\":\"a\",\"ports\":[80,80],%}", "/ports", "unique")]
    [InlineData("{\"id\":\"a\",\"networks\":[{\"mode\":\"container\",\"name\":\"dcos\"}],%}", "/networks(0)/name", "WEAVE_CIDR")]
    public void What_is_wrong_is_told_by_its_path_with_a_remedy(string json, string path, string words)
    {
        var reading = Dialects.Read(json.Replace("%", Image, StringComparison.Ordinal));
        Assert.Null(reading.Spec);
        var fault = Assert.Single(reading.Faults, f => f.Path == path);
        Assert.Contains(words, string.Join("; ", fault.Errors), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/flocker/../etc")]
    [InlineData("/flocker/..")]
    [InlineData("/srv/../flocker/mongodata")]
    [InlineData("/flocker")]
    [InlineData("//flocker/")]
    [InlineData("/flocker/a/b")]
    [InlineData("/flocker/.hidden")]
    [InlineData("/flocker/a b")]
    [InlineData("flocker/mongodata")]
    [InlineData("/flocker/a:rw")]
    public void A_host_path_that_leaves_its_place_is_refused(string path)
    {
        var reading = Dialects.Read($$$"""{"id":"a","container":{"docker":{"image":"i"},"volumes":[{"containerPath":"/d","hostPath":"{{{path}}}","mode":"RW"}]}}""");
        Assert.Contains(reading.Faults, f => f.Path == "/container/volumes(0)/hostPath");
        var parameter = Dialects.Read($$$$"""{"id":"a","container":{"docker":{"image":"i","parameters":[{"key":"volume-driver","value":"flocker"},{"key":"volume","value":"{{{{path}}}}:/d"}]}}}""");
        Assert.Contains(parameter.Faults, f => f.Path == "/container/docker/parameters(1)/value");
    }

    [Fact]
    public void Numbers_as_strings_nulls_and_unknown_fields_are_taken_as_2015_clients_send_them()
    {
        var spec = Dialects.Spec("""{"id":"a","cpus":"0.5","mem":"64","instances":"2","cmd":null,"args":null,"user":null,"env":{},"executor":"","uris":[],"storeUrls":[],"ports":["0"],"requirePorts":false,"backoffSeconds":1,"colour":"red","healthChecks":[],"dependencies":[],"container":{"type":"DOCKER","volumes":null,"docker":{"image":"i","network":"HOST","portMappings":null,"parameters":null}}}""");
        Assert.Equal((0.5, 64.0, 2, ContainerNetwork.Host), (spec.Cpus, spec.MemoryMiB, spec.Instances, spec.Container!.Network));
        Assert.Equal([new PortDefinition(0, "tcp", null, [])], spec.Ports);
    }

    [Fact]
    public void The_dialect_of_1_10_says_the_same_as_that_of_2015()
    {
        var canonical = Dialects.Spec("""
            {"id":"/app","mem":128,"cpus":0.1,"env":{"WEAVE_CIDR":"10.255.0.11/24","MONGO_URI":"mongodb://10.255.0.10:27017/todos"},
             "networks":[{"mode":"container/bridge"}],
             "container":{"type":"DOCKER","docker":{"image":"binocarlos/powerstrip-mesosphere-demo:latest"},
              "portMappings":[{"containerPort":8000,"hostPort":8000,"servicePort":8000}]},
             "constraints":[["disk","cluster","spinning"]]}
            """);
        Assert.Equal(Dialects.Spec(Dialects.App), canonical);
    }

    [Theory]
    [InlineData(Dialects.Db)]
    [InlineData(Dialects.App)]
    [InlineData("""{"id":"/x/y","cmd":"run","container":{"docker":{"image":"i","parameters":[{"key":"hostname","value":"h"}],"forcePullImage":true,"privileged":true}},"networks":[{"mode":"host"}],"portDefinitions":[{"port":80,"name":"web","protocol":"udp,tcp","labels":{"a":"b"}}],"healthChecks":[{"protocol":"HTTP","portIndex":0},{"protocol":"COMMAND","command":{"value":"true"}}],"labels":{"k":"v"},"dependencies":["/z"],"user":"u","killSelection":"OLDEST_FIRST","unreachableStrategy":"disabled","taskKillGracePeriodSeconds":3,"upgradeStrategy":{"minimumHealthCapacity":0.5,"maximumOverCapacity":0},"backoffFactor":2,"constraints":[["hostname","UNIQUE"],["rack","GROUP_BY",3]]}""")]
    [InlineData("""{"id":"/team/pg","role":"team","tty":true,"resourceLimits":{"cpus":"unlimited","mem":512},"residency":{"taskLostBehavior":"RELAUNCH_AFTER_TIMEOUT"},"container":{"docker":{"image":"i"},"volumes":[{"containerPath":"pg","mode":"RW","persistent":{"type":"mount","size":10,"maxSize":20}},{"containerPath":"/data","hostPath":"pg","mode":"RW"},{"containerPath":"/e","external":{"provider":"dvdi","name":"e","size":2,"options":{"dvdi/driver":"rexray","dvdi/iops":"9"}}}]}}""")]
    [InlineData("""{"id":"x","env":{"WEAVE_CIDR":"10.255.0.9/24"},"networks":[{"mode":"container","name":"weave"}],"container":{"docker":{"image":"i"},"portMappings":[{"containerPort":80},{"containerPort":81,"hostPort":0}]},"drover":{"preferences":[{"constraint":["disk","IS","ssd"],"weight":7}],"apart":[{"app":"/y"},{"labels":{"a":"b"},"weight":3}]}}""")]
    public void What_is_written_reads_back_as_the_same(string json)
    {
        var spec = Dialects.Spec(json);
        Assert.Equal(spec, Dialects.Spec(Dialects.Written(spec)));
    }

    [Fact]
    public void Nothing_of_the_2015_dialect_is_written()
    {
        using var written = JsonDocument.Parse(Dialects.Written(Dialects.Spec(Dialects.App)));
        var root = written.RootElement;
        foreach (var old in new[] { "ports", "uris", "ipAddress", "cmd", "args", "dependencies", "healthChecks", "portDefinitions" }) Assert.False(root.TryGetProperty(old, out _), old);
        Assert.Equal("{}", root.GetProperty("labels").GetRawText());
        Assert.Equal("""[{"mode":"container/bridge"}]""", root.GetProperty("networks").GetRawText());
        Assert.False(root.GetProperty("container").GetProperty("docker").TryGetProperty("network", out _));
        Assert.Equal(8000, root.GetProperty("container").GetProperty("portMappings")[0].GetProperty("hostPort").GetInt32());
    }

    [Fact]
    public void An_update_changes_what_it_names_and_keeps_the_rest()
    {
        var before = Dialects.Spec(Dialects.Db);
        var after = Dialects.Spec("""{"constraints":[["disk","CLUSTER","ssd"]]}""", before);
        Assert.Equal(before with { Constraints = [new("disk", ConstraintOperator.Cluster, "ssd")] }, after);
        Assert.Equal(before with { Instances = 0 }, Dialects.Spec("""{"instances":0}""", before));
    }

    [Fact]
    public void A_volume_has_one_writer()
    {
        var reading = Dialects.Read(Dialects.Db.Replace("\"mem\":128", "\"mem\":128,\"instances\":2", StringComparison.Ordinal));
        Assert.Contains("mongodata", Assert.Single(reading.Faults, f => f.Path == "/instances").Errors[0], StringComparison.Ordinal);
    }

    [Fact]
    public void Versions_always_carry_milliseconds() =>
        Assert.Equal("2015-09-25T15:13:48.000Z", AppJsonOut.Timestamp(DateTimeOffset.Parse("2015-09-25T17:13:48+02:00", CultureInfo.InvariantCulture)));

    /// <summary>Whatever value stands in whatever field, reading answers with a spec or with faults, and never throws.</summary>
    [Fact]
    public void No_value_in_any_field_throws()
    {
        string[] values = ["null", "1", "-1", "1e300", "\"\"", "\"x\"", "[]", "[1]", "[[]]", "[null]", "[[null,null]]", "{}", "{\"a\":1}", "true", "[{}]", "[{\"key\":1}]", "[{\"hostPath\":\"/\",\"containerPath\":\"/\"}]",
            "\"unlimited\"", "{\"networkName\":\"weave\",\"discovery\":{\"ports\":[{\"number\":1},{}]}}", "[{\"containerPath\":\"d\",\"persistent\":{\"size\":1}},{\"containerPath\":\"d\",\"persistent\":{\"size\":1}},{\"hostPath\":\"d\"},{\"hostPath\":\"d\"}]", "[{\"external\":{\"options\":{\"a\":1}}}]",
            "[{\"constraint\":[],\"weight\":\"x\"},{\"app\":\"/\"},{\"labels\":[]}]", "{\"cpus\":\"much\",\"mem\":null}"];
        string[] paths = ["id", "cmd", "args", "cpus", "mem", "instances", "env", "labels", "constraints", "ports", "portDefinitions", "networks", "healthChecks", "upgradeStrategy", "unreachableStrategy",
            "dependencies", "uris", "container", "container/docker", "container/volumes", "container/portMappings", "container/docker/parameters", "container/docker/network", "container/docker/portMappings", "container/docker/image",
            "ipAddress", "drover", "drover/preferences", "drover/apart", "resourceLimits", "residency", "tty", "role", "acceptedResourceRoles", "executor", "gpus", "readinessChecks", "fetch"];
        Gen.Select(Gen.Int[0, paths.Length - 1], Gen.Int[0, values.Length - 1], Gen.Int[0, paths.Length - 1], Gen.Int[0, values.Length - 1]).Sample((a, b, c, d) =>
        {
            var (path, value, path2, value2) = (paths[a], values[b], paths[c], values[d]);
            var root = System.Text.Json.Nodes.JsonNode.Parse(Dialects.App)!.AsObject();
            root["drover"] = new System.Text.Json.Nodes.JsonObject();
            foreach (var (p, v) in new[] { (path, value), (path2, value2) })
            {
                var parts = p.Split('/');
                System.Text.Json.Nodes.JsonNode? at = root;
                foreach (var part in parts[..^1]) at = at is System.Text.Json.Nodes.JsonObject inner ? inner[part] : null;
                if (at is System.Text.Json.Nodes.JsonObject holder) holder[parts[^1]] = System.Text.Json.Nodes.JsonNode.Parse(v);
            }
            var reading = Dialects.Read(root.ToJsonString());
            return reading.Spec is null != reading.Faults.IsEmpty;
        }, seed: "0N0XIzNsQ0O2", iter: 5_000);
    }
}
