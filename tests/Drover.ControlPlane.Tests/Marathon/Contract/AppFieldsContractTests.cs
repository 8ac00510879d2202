using System.Text.Json;
using Drover.Contracts.Agent;
using Drover.Core;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>Each field of an app: what it is by default, how it comes back, what it does to the container, and what is refused.</summary>
public sealed class AppFieldsContractTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    private const string Docker = "\"container\":{\"docker\":{\"image\":\"busybox\"}}";

    /// <summary>Creates without running anything, and shows.</summary>
    private async Task<JsonElement> Shown(string fields, string? id = null)
    {
        id ??= server.NewId("field");
        var made = await server.Post("/v2/apps", $"{{\"id\":\"{id}\",\"instances\":0,{fields}}}");
        Assert.True(made.Status == 201, made.Text);
        return (await server.Get($"/v2/apps{id}"))["app"];
    }

    private Task<Reply> Tried(string fields) => server.Post("/v2/apps", $"{{\"id\":\"{server.NewId("refused")}\",{fields}}}");

    /// <summary>Runs one copy, and what its node was told of it.</summary>
    private async Task<DesiredInstance> Ordered(string fields, string? id = null)
    {
        id ??= server.NewId("ordered");
        await server.Deployed(server.Post("/v2/apps", $"{{\"id\":\"{id}\",\"cpus\":0.5,\"mem\":64,{fields}}}"));
        return server.Ordered(id);
    }

    // ---- canonical output ----

    [Fact]
    public async Task An_app_of_an_image_alone_gets_the_defaults_of_released_marathon()
    {
        var app = await Shown(Docker);
        string[] expected =
        [
            "backoffFactor=1.15", "backoffSeconds=1", """container={"type":"DOCKER","docker":{"forcePullImage":false,"image":"busybox","parameters":[],"privileged":false},"volumes":[]}""", "cpus=1", "disk=0",
            "executor=\"\"", "gpus=0", "instances=0", "killSelection=\"YOUNGEST_FIRST\"", "labels={}", "maxLaunchDelaySeconds=300", "mem=128", """networks=[{"mode":"host"}]""",
            "requirePorts=false", "role=\"*\"", "tasks=[]", "tasksHealthy=0", "tasksRunning=0", "tasksStaged=0", "tasksUnhealthy=0", """unreachableStrategy={"expungeAfterSeconds":0,"inactiveAfterSeconds":0}""",
            """upgradeStrategy={"maximumOverCapacity":1,"minimumHealthCapacity":1}""",
        ];
        string[] own = ["id", "version", "versionInfo", "portDefinitions", "deployments"];
        Assert.Equal(expected, app.EnumerateObject().Where(f => !own.Contains(f.Name)).Select(f => $"{f.Name}={f.Value.GetRawText()}").Order(StringComparer.Ordinal));
        var port = Assert.Single(app.GetProperty("portDefinitions").EnumerateArray());
        Assert.Equal(("default", "tcp", "{}"), (port.GetProperty("name").GetString(), port.GetProperty("protocol").GetString(), port.GetProperty("labels").GetRawText()));
    }

    [Theory]
    [InlineData("cmd", "\"sleep 1000\"")]
    [InlineData("args", "[\"-v\",\"--deep\"]")]
    [InlineData("cpus", "0.25")]
    [InlineData("mem", "96.5")]
    [InlineData("disk", "10")]
    [InlineData("executor", "\"//cmd\"")]
    [InlineData("constraints", "[[\"rack\",\"GROUP_BY\",\"2\"],[\"hostname\",\"UNIQUE\"],[\"disk\",\"LIKE\",\"s.*\"]]")]
    [InlineData("env", "{\"A\":\"1\",\"B\":\"\"}")]
    [InlineData("labels", "{\"tier\":\"web\"}")]
    [InlineData("backoffSeconds", "2")]
    [InlineData("backoffFactor", "1.5")]
    [InlineData("maxLaunchDelaySeconds", "60")]
    [InlineData("upgradeStrategy", "{\"maximumOverCapacity\":0.5,\"minimumHealthCapacity\":0.25}")]
    [InlineData("unreachableStrategy", "{\"expungeAfterSeconds\":600,\"inactiveAfterSeconds\":300}")]
    [InlineData("unreachableStrategy", "\"disabled\"")]
    [InlineData("killSelection", "\"OLDEST_FIRST\"")]
    [InlineData("taskKillGracePeriodSeconds", "7")]
    [InlineData("user", "\"nobody\"")]
    [InlineData("tty", "true")]
    [InlineData("acceptedResourceRoles", "[\"*\"]")]
    [InlineData("resourceLimits", "{\"cpus\":2,\"mem\":\"unlimited\"}")]
    [InlineData("portDefinitions", "[{\"labels\":{\"VIP_0\":\"/x:80\"},\"name\":\"http\",\"port\":10999,\"protocol\":\"udp,tcp\"}]")]
    [InlineData("drover", "{\"preferences\":[{\"constraint\":[\"disk\",\"LIKE\",\"ssd\"],\"weight\":50}],\"apart\":[{\"app\":\"/noisy\"},{\"labels\":{\"load\":\"batch\"},\"weight\":5}]}")]
    public async Task A_field_comes_back_as_it_was_given(string field, string value) => Assert.Equal(value, (await Shown($"{Docker},\"{field}\":{value}")).GetProperty(field).GetRawText());

    [Theory]
    [InlineData("cpus", "\"0.5\"", "0.5")]
    [InlineData("instances", "\"0\"", "0")]
    [InlineData("requirePorts", "\"true\"", "true")]
    [InlineData("disk", "null", "0")]
    [InlineData("env", "null", null)]
    [InlineData("fetch", "[]", null)]
    [InlineData("secrets", "{}", null)]
    [InlineData("colour", "\"red\"", null)]
    public async Task Strings_for_numbers_nulls_empty_and_unknown_fields_are_taken(string field, string value, string? shown)
    {
        var id = server.NewId("lenient");
        Assert.Equal(201, (await server.Post("/v2/apps", $"{{\"id\":\"{id}\",{(field == "instances" ? "" : "\"instances\":0,")}{Docker},\"{field}\":{value}}}")).Status);
        var app = (await server.Get($"/v2/apps{id}"))["app"];
        Assert.Equal(shown, app.TryGetProperty(field, out var now) ? now.GetRawText() : null);
    }

    // ---- what is refused, with its path ----

    [Theory]
    [InlineData("\"cmd\":\"a b\",\"args\":[\"x\"]", "/", "not both")]
    [InlineData("\"gpus\":1", "/gpus", "must be 0")]
    [InlineData("\"executor\":\"/opt/executor\"", "/executor", "//cmd")]
    [InlineData("\"uris\":[\"http://x/y.tgz\"]", "/uris", "not fetched")]
    [InlineData("\"fetch\":[{\"uri\":\"http://x/y.tgz\"}]", "/fetch", "not fetched")]
    [InlineData("\"secrets\":{\"s\":{\"source\":\"/x\"}}", "/secrets", "env")]
    [InlineData("\"env\":{\"A\":{\"secret\":\"s\"}}", "/env/A", "secrets are not kept")]
    [InlineData("\"check\":{\"tcp\":{}}", "/check", "healthChecks")]
    [InlineData("\"executorResources\":{\"cpus\":1}", "/executorResources", "no executor")]
    [InlineData("\"role\":\"prod\"", "/role", "\"*\"")]
    [InlineData("\"acceptedResourceRoles\":[\"*\",\"prod\"]", "/acceptedResourceRoles", "'prod'")]
    [InlineData("\"resourceLimits\":{\"cpus\":0.5}", "/resourceLimits/cpus", "at least cpus")]
    [InlineData("\"resourceLimits\":{\"mem\":1}", "/resourceLimits/mem", "at least mem")]
    [InlineData("\"backoffSeconds\":400", "/backoffSeconds", "maxLaunchDelaySeconds")]
    [InlineData("\"unreachableStrategy\":{\"inactiveAfterSeconds\":60,\"expungeAfterSeconds\":30}", "/unreachableStrategy/expungeAfterSeconds", "inactiveAfterSeconds")]
    [InlineData("\"unreachableStrategy\":\"never\"", "/unreachableStrategy", "disabled")]
    [InlineData("\"instances\":2,\"labels\":{\"MARATHON_SINGLE_INSTANCE_APP\":\"true\"}", "/instances", "0 or 1")]
    [InlineData("\"labels\":{\"MARATHON_SINGLE_INSTANCE_APP\":\"true\"},\"upgradeStrategy\":{\"minimumHealthCapacity\":0,\"maximumOverCapacity\":1}", "/upgradeStrategy/maximumOverCapacity", "must be 0")]
    [InlineData("\"labels\":{\"MARATHON_SINGLE_INSTANCE_APP\":\"true\"},\"upgradeStrategy\":{\"minimumHealthCapacity\":1}", "/upgradeStrategy/minimumHealthCapacity", "must be 0")]
    [InlineData("\"residency\":{}", "/residency", "persistent volume")]
    [InlineData("\"portDefinitions\":[{\"port\":80},{\"port\":80}]", "/portDefinitions", "unique")]
    [InlineData("\"portDefinitions\":[{\"name\":\"a\"},{\"name\":\"a\"}]", "/portDefinitions", "names must be unique")]
    [InlineData("\"portDefinitions\":[{\"name\":\"Bad_Name\"}]", "/portDefinitions(0)/name", "lower-case")]
    [InlineData("\"portDefinitions\":[{\"protocol\":\"sctp\"}]", "/portDefinitions(0)/protocol", "udp,tcp")]
    [InlineData("\"portDefinitions\":[{\"port\":8080}],\"ports\":[8081]", "/ports", "same as in portDefinitions")]
    [InlineData("\"networks\":[{\"mode\":\"host\"},{\"mode\":\"container/bridge\"}]", "/networks", "give one")]
    [InlineData("\"networks\":[{\"mode\":\"mesh\"}]", "/networks(0)/mode", "container/bridge")]
    [InlineData("\"networks\":[{\"mode\":\"container\"}]", "/networks(0)/name", "container network name is not defined")]
    [InlineData("\"networks\":[{\"mode\":\"container\",\"name\":\"dcos\"}]", "/networks(0)/name", "no container network 'dcos'")]
    [InlineData("\"networks\":[{\"mode\":\"container\",\"name\":\"weave\"}]", "/env/WEAVE_CIDR", "10.255.0.10/24")]
    [InlineData("\"networks\":[{\"mode\":\"host\"}],\"ipAddress\":{\"networkName\":\"weave\"},\"env\":{\"WEAVE_CIDR\":\"10.255.0.77/24\"}", "/ipAddress", "keep networks")]
    [InlineData("\"ipAddress\":{},\"env\":{\"WEAVE_CIDR\":\"10.255.0.77/24\"}", "/ipAddress/networkName", "container network name is not defined")]
    [InlineData("\"ipAddress\":{\"networkName\":\"weave\"},\"ports\":[80],\"env\":{\"WEAVE_CIDR\":\"10.255.0.77/24\"}", "/ports", "discovery")]
    [InlineData("\"drover\":{\"preferences\":[{\"constraint\":[\"disk\",\"NEAR\",\"x\"]}]}", "/drover/preferences(0)/constraint", "operator must be one of")]
    [InlineData("\"drover\":{\"preferences\":[{\"constraint\":[\"disk\",\"CLUSTER\",\"x\"],\"weight\":500}]}", "/drover/preferences(0)", "from 1 to 100")]
    [InlineData("\"drover\":{\"apart\":[{}]}", "/drover/apart(0)", "say what the app is kept apart from")]
    public async Task A_value_that_cannot_be_is_refused_by_its_path(string fields, string path, string words) => Assert.Contains(words, (await Tried($"{Docker},{fields}")).Refused(path), StringComparison.Ordinal);

    [Theory]
    [InlineData("\"image\":\"i\",\"credential\":{\"principal\":\"x\"}", "/container/docker/credential")]
    [InlineData("\"image\":\"i\",\"pullConfig\":{\"secret\":\"x\"}", "/container/docker/pullConfig")]
    [InlineData("\"image\":\"\"", "/container/docker/image")]
    [InlineData("\"image\":\"i\",\"network\":\"MESH\"", "/container/docker/network")]
    [InlineData("\"image\":\"i\",\"network\":\"USER\"", "/ipAddress/networkName")]
    public async Task What_docker_cannot_be_given_is_refused(string docker, string path) => (await Tried($"\"container\":{{\"docker\":{{{docker}}}}}")).Refused(path);

    [Fact]
    public async Task A_mesos_container_with_an_image_is_run_by_docker()
    {
        var app = await Shown("\"container\":{\"type\":\"MESOS\",\"docker\":{\"image\":\"busybox\"}}");
        Assert.Equal(("DOCKER", "busybox"), (app.GetProperty("container").GetProperty("type").GetString(), app.GetProperty("container").GetProperty("docker").GetProperty("image").GetString()));
        (await Tried("\"container\":{\"type\":\"RKT\",\"docker\":{\"image\":\"busybox\"}}")).Refused("/container/type");
    }

    [Fact]
    public async Task Both_forms_of_port_mappings_with_different_ports_are_422_and_never_500()
    {
        var reply = await Tried("\"container\":{\"docker\":{\"image\":\"i\",\"network\":\"BRIDGE\",\"portMappings\":[{\"containerPort\":80}]},\"portMappings\":[{\"containerPort\":81}]}");
        Assert.Contains("docker.portMappings", reply.Refused("/container/portMappings"), StringComparison.Ordinal);
        (await Tried("\"networks\":[{\"mode\":\"host\"}],\"container\":{\"docker\":{\"image\":\"i\",\"network\":\"BRIDGE\"}}")).Refused("/networks");
        (await Tried("\"networks\":[{\"mode\":\"host\"}],\"container\":{\"docker\":{\"image\":\"i\"},\"portMappings\":[{\"containerPort\":80}]}")).Refused("/container/portMappings");
    }

    [Theory]
    [InlineData("/a/restart")]
    [InlineData("/tasks")]
    [InlineData("/a/versions")]
    [InlineData("/a/..")]
    [InlineData("/a/./b")]
    [InlineData("/A")]
    [InlineData("/a_b")]
    [InlineData("/-a")]
    [InlineData("/a-")]
    [InlineData("/a..b")]
    [InlineData("/")]
    public async Task An_id_that_cannot_be_is_refused(string id)
    {
        var reply = await server.Post("/v2/apps", $"{{\"id\":\"{id}\",{Docker}}}");
        reply.Refused("/id");
    }

    [Theory]
    [InlineData("/9")]
    [InlineData("/a.b-c.d/e9")]
    [InlineData("/tasks/of-mine")]
    public async Task An_id_that_can_be_is_taken(string id) => Assert.Equal(id, (await Shown(Docker, id)).GetProperty("id").GetString());

    // ---- ports ----

    [Fact]
    public async Task A_port_of_zero_gets_a_service_port_that_no_other_app_has_and_keeps_it()
    {
        var (one, two) = (server.NewId("ports"), server.NewId("ports"));
        var first = Port(await Shown(Docker, one));
        Assert.NotEqual(first, Port(await Shown(Docker, two)));
        Assert.InRange(first, 10000, 20000);
        await server.Put($"/v2/apps{one}", """{"cmd":"sleep 5"}""");
        Assert.Equal(first, Port((await server.Get($"/v2/apps{one}"))["app"]));
        await server.Until(s => !s.Deployments.Values.Any(d => d.AffectedApps.Items.Contains(new AppId(one))), "done");
        await server.Put($"/v2/apps{one}", """{"portDefinitions":[{"port":0,"name":"other"},{"port":0}]}""");
        var ports = (await server.Get($"/v2/apps{one}"))["app"].GetProperty("portDefinitions").EnumerateArray().Select(p => p.GetProperty("port").GetInt32()).ToList();
        Assert.Equal(first, ports[0]);
        Assert.Equal(2, ports.Distinct().Count());

        static int Port(JsonElement app) => Assert.Single(app.GetProperty("portDefinitions").EnumerateArray()).GetProperty("port").GetInt32();
    }

    [Fact]
    public async Task A_service_port_of_another_app_is_refused_with_its_holder()
    {
        var holder = server.NewId("holder");
        await Shown($"{Docker},\"ports\":[19990]", holder);
        var reply = await Tried($"{Docker},\"portDefinitions\":[{{\"port\":19990}}]");
        Assert.Contains(holder, reply.Refused("/portDefinitions(0)/port"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_port_named_outright_may_lie_outside_the_range() =>
        Assert.Equal(443, (await Shown($"{Docker},\"portDefinitions\":[{{\"port\":443}}]")).GetProperty("portDefinitions")[0].GetProperty("port").GetInt32());

    [Fact]
    public async Task A_bridged_app_without_mappings_gets_one_and_an_empty_list_means_none()
    {
        var usual = await Shown($"{Docker},\"networks\":[{{\"mode\":\"container/bridge\"}}],\"requirePorts\":true");
        var mapping = Assert.Single(usual.GetProperty("container").GetProperty("portMappings").EnumerateArray());
        Assert.Equal((0, 0, "default", "tcp"), (mapping.GetProperty("containerPort").GetInt32(), mapping.GetProperty("hostPort").GetInt32(), mapping.GetProperty("name").GetString(), mapping.GetProperty("protocol").GetString()));
        Assert.InRange(mapping.GetProperty("servicePort").GetInt32(), 10000, 20000);
        Assert.False(usual.TryGetProperty("portDefinitions", out _));
        // The node's ports are not the app's in this mode.
        Assert.False(usual.GetProperty("requirePorts").GetBoolean());
        var none = await Shown("\"container\":{\"docker\":{\"image\":\"busybox\"},\"portMappings\":[]},\"networks\":[{\"mode\":\"container/bridge\"}]");
        Assert.Empty(none.GetProperty("container").GetProperty("portMappings").EnumerateArray());
    }

    [Fact]
    public async Task Required_ports_are_the_hosts_own()
    {
        var order = await Ordered($"{Docker},\"requirePorts\":true,\"portDefinitions\":[{{\"port\":31555,\"name\":\"http\"}}]");
        Assert.Equal(("31555", "31555", "31555"), (order.Container.Env["PORT0"], order.Container.Env["PORT_31555"], order.Container.Env["PORT_HTTP"]));
        Assert.Equal("host", order.Container.Network);
    }

    // ---- what the container gets ----

    [Fact]
    public async Task A_task_gets_marathons_environment_and_the_users_wins()
    {
        var id = server.NewId("env");
        var order = await Ordered("""
            "container":{"docker":{"image":"nginx:1"},"portMappings":[{"containerPort":80,"hostPort":0,"name":"http"},{"containerPort":0,"hostPort":0}]},"networks":[{"mode":"container/bridge"}],
            "labels":{"tier":"web","a-b":"c"},"env":{"HOST":"mine","OWN":"1"},"disk":5
            """, id);
        var env = order.Container.Env;
        var copy = Assert.Single(server.State.InstancesOf(new AppId(id)));
        var (p0, p1) = (copy.Ports[0].ToString(null, null), copy.Ports[1].ToString(null, null));
        (string, string)[] expected =
        [
            ("MESOS_TASK_ID", copy.Task.Value), ("MARATHON_APP_ID", id), ("MARATHON_APP_DOCKER_IMAGE", "nginx:1"), ("MARATHON_APP_RESOURCE_CPUS", "0.5"), ("MARATHON_APP_RESOURCE_MEM", "64.0"),
            ("MARATHON_APP_RESOURCE_DISK", "5.0"), ("MARATHON_APP_RESOURCE_GPUS", "0"), ("MARATHON_APP_LABELS", "TIER A_B"), ("MARATHON_APP_LABEL_TIER", "web"), ("MARATHON_APP_LABEL_A_B", "c"),
            ("PORT", p0), ("PORT0", p0), ("PORT1", p1), ("PORTS", $"{p0},{p1}"), ("PORT_80", p0), ("PORT_HTTP", p0), ($"PORT_{p1}", p1), ("HOST", "mine"), ("OWN", "1"),
        ];
        foreach (var (name, value) in expected) Assert.Equal((name, value), (name, env[name]));
        Assert.Equal((await server.Get($"/v2/apps{id}"))["app"].GetProperty("version").GetString(), env["MARATHON_APP_VERSION"]);
    }

    [Fact]
    public async Task Docker_parameters_reach_docker_as_they_stand()
    {
        var order = await Ordered("""
            "container":{"docker":{"image":"busybox","privileged":true,"forcePullImage":true,"parameters":[{"key":"hostname","value":"h.lan"},{"key":"cap-add","value":"NET_ADMIN"},{"key":"cap-add","value":"SYS_TIME"}]},
             "volumes":[{"containerPath":"/etc/ssl","hostPath":"/etc/ssl","mode":"RO"}]}
            """);
        Assert.Equal(["hostname=h.lan", "cap-add=NET_ADMIN", "cap-add=SYS_TIME"], order.Container.Parameters.Select(p => $"{p.Key}={p.Value}"));
        Assert.Equal((true, true), (order.Container.Privileged, order.Container.ForcePull));
        Assert.Equal(new HostMount { HostPath = "/etc/ssl", ContainerPath = "/etc/ssl", ReadOnly = true }, Assert.Single(order.Container.HostMounts));
    }

    [Fact]
    public async Task Command_user_terminal_grace_and_limits_reach_the_container()
    {
        var order = await Ordered($"{Docker},\"cmd\":\"sleep 1000\",\"user\":\"nobody\",\"tty\":true,\"taskKillGracePeriodSeconds\":7,\"resourceLimits\":{{\"cpus\":2,\"mem\":\"unlimited\"}}");
        Assert.Equal(("sleep 1000", "nobody", 7000), (order.Container.Command, order.Container.User, order.StopGraceMs));
        Assert.Contains(new DockerParameter { Key = "tty", Value = "true" }, order.Container.Parameters);
        Assert.Equal((0.5, 2d, 64d, -1d), (order.Container.Cpus, order.Container.CpuLimit, order.Container.MemoryMib, order.Container.MemoryLimitMib));
        var plain = await Ordered($"{Docker},\"args\":[\"-x\",\"y\"]");
        Assert.Equal(["-x", "y"], plain.Container.Args);
        Assert.Equal((0d, 0d, 0), (plain.Container.CpuLimit, plain.Container.MemoryLimitMib, plain.Container.Parameters.Count));
    }

    [Theory]
    [InlineData("\"networks\":[{\"mode\":\"container\",\"name\":\"weave\"}],\"container\":{\"docker\":{\"image\":\"i\"},\"portMappings\":[{\"containerPort\":80,\"name\":\"web\"}]},\"env\":{\"WEAVE_CIDR\":\"10.255.0.31/24\"}", 31)]
    [InlineData("\"ipAddress\":{\"networkName\":\"weave\",\"discovery\":{\"ports\":[{\"number\":80,\"name\":\"web\",\"protocol\":\"tcp\"}]}},\"container\":{\"docker\":{\"image\":\"i\",\"network\":\"USER\"}},\"env\":{\"WEAVE_CIDR\":\"10.255.0.32/24\"}", 32)]
    public async Task A_container_network_is_our_overlay_in_either_dialect(string fields, int address)
    {
        var id = server.NewId("overlay");
        var order = await Ordered(fields, id);
        Assert.Equal(("weave", $"10.255.0.{address}", 24), (order.Container.Overlay.Network, order.Container.Overlay.Address, order.Container.Overlay.PrefixLength));
        Assert.Empty(order.Container.Ports);
        var app = (await server.Get($"/v2/apps{id}"))["app"];
        Assert.Equal("""[{"mode":"container","name":"weave"}]""", app.GetProperty("networks").GetRawText());
        var mapping = Assert.Single(app.GetProperty("container").GetProperty("portMappings").EnumerateArray());
        Assert.Equal((80, "web", false), (mapping.GetProperty("containerPort").GetInt32(), mapping.GetProperty("name").GetString(), mapping.TryGetProperty("hostPort", out _)));
        Assert.Equal($"10.255.0.{address}", app.GetProperty("tasks")[0].GetProperty("ipAddresses")[0].GetProperty("ipAddress").GetString());
    }

    [Fact]
    public async Task Apps_kept_apart_are_on_different_nodes_and_a_wish_is_followed()
    {
        var loud = server.NewId("loud");
        var home = Node(await Ordered($"{Docker},\"drover\":{{\"preferences\":[{{\"constraint\":[\"disk\",\"CLUSTER\",\"spinning\"],\"weight\":100}}]}}", loud));
        Assert.Equal("node1", home);
        var shy = await Ordered($"{Docker},\"drover\":{{\"apart\":[{{\"app\":\"{loud}\"}}],\"preferences\":[{{\"constraint\":[\"disk\",\"CLUSTER\",\"spinning\"],\"weight\":100}}]}}");
        Assert.NotEqual(home, Node(shy));

        string Node(DesiredInstance order) => server.Agents.Single(a => a.Ordered.Any(i => i.InstanceId == order.InstanceId)).Node.Value;
    }
}
