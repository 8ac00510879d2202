using System.Text.Json;
using Drover.Core;
using Xunit;

namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>What clients of 2015 send is the same app as what those of 1.5 and later send, and comes back in the form of the latter.</summary>
public sealed class DialectContractTests(MarathonServer server) : IClassFixture<MarathonServer>
{
    private async Task<JsonElement> Shown(string id, string fields)
    {
        var made = await server.Post("/v2/apps", $"{{\"id\":\"{id}\",\"instances\":0,{fields}}}");
        Assert.True(made.Status == 201, made.Text);
        return (await server.Get($"/v2/apps{id}"))["app"];
    }

    [Theory]
    [InlineData("BRIDGE", "container/bridge")]
    [InlineData("HOST", "host")]
    [InlineData("bridge", "container/bridge")]
    public async Task Dockers_network_becomes_networks(string old, string mode)
    {
        var app = await Shown(server.NewId("net"), $$$"""
            "container":{"type":"DOCKER","docker":{"image":"i","network":"{{{old}}}"} }
            """);
        Assert.Equal($$"""[{"mode":"{{mode}}"}]""", app.GetProperty("networks").GetRawText());
        Assert.False(app.GetProperty("container").GetProperty("docker").TryGetProperty("network", out _));
    }

    [Fact]
    public async Task Dockers_port_mappings_become_the_containers_with_their_gaps_filled()
    {
        var app = await Shown(server.NewId("maps"), """
            "container":{"type":"DOCKER","docker":{"image":"i","network":"BRIDGE","portMappings":[{"containerPort":8080,"servicePort":12001,"protocol":"tcp"},{"containerPort":161,"hostPort":31161,"protocol":"udp","name":"snmp"}]}}
            """);
        var container = app.GetProperty("container");
        Assert.False(container.GetProperty("docker").TryGetProperty("portMappings", out _));
        Assert.Equal("""{"containerPort":8080,"hostPort":0,"labels":{},"protocol":"tcp","servicePort":12001}""", container.GetProperty("portMappings")[0].GetRawText());
        Assert.Equal((31161, "udp", "snmp"), (container.GetProperty("portMappings")[1].GetProperty("hostPort").GetInt32(), container.GetProperty("portMappings")[1].GetProperty("protocol").GetString(), container.GetProperty("portMappings")[1].GetProperty("name").GetString()));
    }

    [Fact]
    public async Task Ports_on_the_hosts_network_become_port_definitions()
    {
        var app = await Shown(server.NewId("ports"), """
            "ports":[12100,12101],"container":{"docker":{"image":"i","network":"HOST","portMappings":null}}
            """);
        Assert.Equal("12100 12101", string.Join(' ', app.GetProperty("portDefinitions").EnumerateArray().Select(p => p.GetProperty("port").GetInt32())));
        Assert.False(app.TryGetProperty("ports", out _));
    }

    [Fact]
    public async Task Ports_beside_bridge_mode_are_service_ports_and_surplus_ones_become_mappings()
    {
        var app = await Shown(server.NewId("extra"), """
            "ports":[12200,12201],"container":{"docker":{"image":"i","network":"BRIDGE","portMappings":[{"containerPort":80}]}}
            """);
        Assert.Equal("80:12200 0:12201", string.Join(' ', app.GetProperty("container").GetProperty("portMappings").EnumerateArray().Select(p => $"{p.GetProperty("containerPort").GetInt32()}:{p.GetProperty("servicePort").GetInt32()}")));
    }

    [Fact]
    public async Task A_check_without_a_port_looks_at_the_first()
    {
        var app = await Shown(server.NewId("check"), """
            "healthChecks":[{"protocol":"HTTP","path":"/up"},{"protocol":"COMMAND","command":{"value":"true"}}],"container":{"docker":{"image":"i","network":"BRIDGE","portMappings":[{"containerPort":80}]}}
            """);
        Assert.Equal(0, app.GetProperty("healthChecks")[0].GetProperty("portIndex").GetInt32());
        Assert.False(app.GetProperty("healthChecks")[1].TryGetProperty("portIndex", out _));
    }

    [Fact]
    public async Task Everything_a_client_of_2015_leaves_empty_is_taken_as_not_given()
    {
        var app = await Shown(server.NewId("empty"), """
            "cmd":"","args":null,"user":null,"env":{},"constraints":[],"uris":[],"storeUrls":[],"executor":"","healthChecks":[],"dependencies":[],"acceptedResourceRoles":null,"requirePorts":false,"ports":[0],
            "upgradeStrategy":{"minimumHealthCapacity":1.0,"maximumOverCapacity":1.0},"container":{"type":"DOCKER","volumes":null,"docker":{"image":"i","network":"BRIDGE","portMappings":null,"parameters":[],"privileged":false}}
            """);
        foreach (var old in (string[])["cmd", "args", "user", "env", "constraints", "uris", "storeUrls", "healthChecks", "dependencies", "acceptedResourceRoles", "ports", "fetch", "ipAddress"])
            Assert.False(app.TryGetProperty(old, out _), old);
    }

    [Fact]
    public async Task Both_dialects_of_one_app_are_one_app()
    {
        var (old, canonical) = (server.NewId("same"), server.NewId("same"));
        var first = await Shown(old, """
            "cpus":"0.5","mem":64,"ports":[0],"uris":[],"container":{"type":"DOCKER","docker":{"image":"i","network":"BRIDGE","portMappings":[{"containerPort":80,"hostPort":0,"servicePort":0,"protocol":"tcp"}]}}
            """);
        var second = await Shown(canonical, """
            "cpus":0.5,"mem":64,"networks":[{"mode":"container/bridge"}],"container":{"type":"DOCKER","docker":{"image":"i"},"portMappings":[{"containerPort":80,"hostPort":0}]}
            """);
        Assert.Equal(Comparable(first), Comparable(second));

        static string Comparable(JsonElement app) => string.Join('\n', app.EnumerateObject().Where(f => f.Name is not ("id" or "version" or "versionInfo" or "deployments"))
            .Select(f => $"{f.Name} {System.Text.RegularExpressions.Regex.Replace(f.Value.GetRawText(), "\"servicePort\":\\d+", "")}"));
    }

    [Fact]
    public async Task What_is_shown_can_be_sent_back_and_changes_nothing()
    {
        var id = server.NewId("round");
        await server.Deployed(server.Post("/v2/apps", AppBodies.Bridged(id, ",\"labels\":{\"a\":\"b\"},\"env\":{\"X\":\"1\"}")));
        var app = (await server.Get($"/v2/apps{id}"))["app"];
        string[] readOnly = ["version", "versionInfo", "tasks", "tasksRunning", "tasksStaged", "tasksHealthy", "tasksUnhealthy", "deployments"];
        var body = $"{{{string.Join(',', app.EnumerateObject().Where(f => !readOnly.Contains(f.Name)).Select(f => $"\"{f.Name}\":{f.Value.GetRawText()}"))}}}";
        var task = app.GetProperty("tasks")[0].GetProperty("id").GetString();
        await server.Deployed(server.Put($"/v2/apps{id}", body));
        var after = (await server.Get($"/v2/apps{id}"))["app"];
        Assert.Equal((app.GetProperty("version").GetString(), task), (after.GetProperty("version").GetString(), after.GetProperty("tasks")[0].GetProperty("id").GetString()));
    }

    // ---- as they stand in people's files ----

    /// <summary>Fields and values of definitions that were published with Marathon, in their usual company.</summary>
    public static TheoryData<string, string> Published => new()
    {
        { "docker, 2015", """
            {"cmd":"env && sleep 300","args":null,"cpus":1.5,"mem":256.0,"instances":3,"executor":"","ports":[18080,18090],"requirePorts":false,"constraints":[["hostname","UNIQUE",""]],"labels":{"environment":"staging"},"uris":[],
             "container":{"type":"DOCKER","docker":{"image":"group/image","network":"BRIDGE","portMappings":[{"containerPort":8080,"hostPort":0,"servicePort":19000,"protocol":"tcp"},{"containerPort":161,"hostPort":0,"protocol":"udp"}],
              "privileged":false,"parameters":[{"key":"hostname","value":"a"},{"key":"dns","value":"10.0.0.1"}]},"volumes":[{"containerPath":"/etc/a","hostPath":"/var/data/a","mode":"RO"},{"containerPath":"/etc/b","hostPath":"/var/data/b","mode":"RW"}]},
             "env":{"LD_LIBRARY_PATH":"/usr/local/lib/myLib"},"acceptedResourceRoles":["*"],"backoffSeconds":1,"backoffFactor":1.15,"maxLaunchDelaySeconds":3600,
             "healthChecks":[{"protocol":"HTTP","path":"/health","gracePeriodSeconds":3,"intervalSeconds":10,"portIndex":0,"timeoutSeconds":10,"maxConsecutiveFailures":3},{"protocol":"TCP","gracePeriodSeconds":3,"intervalSeconds":5,"portIndex":1,"timeoutSeconds":5,"maxConsecutiveFailures":3},
              {"protocol":"COMMAND","command":{"value":"curl -f -X GET http://$HOST:$PORT0/health"},"maxConsecutiveFailures":3}],"upgradeStrategy":{"minimumHealthCapacity":0.5,"maximumOverCapacity":0.2} }
            """ },
        { "host ports, 1.4", """
            {"cmd":"python3 -m http.server $PORT0","cpus":0.1,"mem":64,"instances":1,"portDefinitions":[{"port":0,"protocol":"tcp","name":"http","labels":{"VIP_0":"10.0.0.1:80"}}],"container":{"type":"DOCKER","docker":{"image":"python:3","network":"HOST"}},
             "healthChecks":[{"protocol":"MESOS_HTTP","path":"/","portIndex":0,"gracePeriodSeconds":5,"intervalSeconds":10,"timeoutSeconds":10,"maxConsecutiveFailures":3}],"unreachableStrategy":{"inactiveAfterSeconds":300,"expungeAfterSeconds":600},"killSelection":"YOUNGEST_FIRST"}
            """ },
        { "readiness and health, 1.5", """
            {"cpus":0.1,"mem":32,"instances":1,"networks":[{"mode":"container/bridge"}],"container":{"type":"DOCKER","docker":{"image":"python:3"},"portMappings":[{"containerPort":8080,"hostPort":0,"name":"http"}]},
             "readinessChecks":[{"name":"ready","portName":"http","path":"/ready","intervalSeconds":2,"timeoutSeconds":1,"httpStatusCodesForReady":[200],"preserveLastResponse":true}],"healthChecks":[{"protocol":"HTTP","path":"/","portIndex":0}],
             "upgradeStrategy":{"minimumHealthCapacity":1,"maximumOverCapacity":1} }
            """ },
        { "resident docker, 1.5", """
            {"cmd":"echo hello >> data/foo; cat data/foo; sleep 1000","cpus":0.5,"mem":32.0,"instances":1,"container":{"type":"DOCKER","docker":{"image":"alpine","forcePullImage":false},
              "volumes":[{"containerPath":"data","mode":"RW","persistent":{"type":"root","size":10}}]},"residency":{"relaunchEscalationTimeoutSeconds":10,"taskLostBehavior":"WAIT_FOREVER"},"upgradeStrategy":{"maximumOverCapacity":0.0,"minimumHealthCapacity":0.0} }
            """ },
        { "external volume, 1.5", """
            {"cmd":"env; echo hello >> /test/foo; sleep 1000","cpus":0.1,"mem":32,"instances":1,"container":{"type":"DOCKER","docker":{"image":"alpine"},
              "volumes":[{"containerPath":"/test","mode":"RW","external":{"name":"marathon-si-test-vol","provider":"dvdi","options":{"dvdi/driver":"rexray"}}}]},"upgradeStrategy":{"minimumHealthCapacity":0,"maximumOverCapacity":0} }
            """ },
    };

    [Theory, MemberData(nameof(Published))]
    public async Task A_published_definition_is_taken_as_it_stands_and_runs(string name, string definition)
    {
        var id = server.NewId("published");
        await server.Plays(id, Play.Ready);
        await server.Deployed(server.Put($"/v2/apps{id}", definition));
        var app = (await server.Get($"/v2/apps{id}"))["app"];
        Assert.True(app.GetProperty("tasksRunning").GetInt32() == app.GetProperty("instances").GetInt32(), name);
        await server.Deployed(server.Delete($"/v2/apps{id}"));
    }

    // ---- whole scripts ----

    [Fact]
    public async Task A_script_of_2015_goes_its_whole_way()
    {
        var id = server.NewId("toggle");
        var created = await server.Post("/v2/apps", $$$"""
            {"id":"{{{id[1..]}}}","cmd":"python toggle.py $PORT0","args":null,"cpus":0.2,"mem":32.0,"instances":1,"ports":[12321],"uris":[],"storeUrls":[],"constraints":[],"dependencies":[],"executor":"","env":{"MODE":"on"},
             "container":{"type":"DOCKER","docker":{"image":"python:3","network":"BRIDGE","portMappings":[{"containerPort":8080,"hostPort":0,"servicePort":12321,"protocol":"tcp"}],"parameters":[{"key":"hostname","value":"a.corp.org"}],"privileged":false},"volumes":[]},
             "healthChecks":[{"protocol":"HTTP","path":"/health","gracePeriodSeconds":3,"intervalSeconds":10,"portIndex":0,"timeoutSeconds":10,"maxConsecutiveFailures":3}],
             "upgradeStrategy":{"minimumHealthCapacity":0.5},"backoffSeconds":1,"backoffFactor":1.15,"maxLaunchDelaySeconds":3600,"requirePorts":false,"user":null,"labels":{} }
            """);
        Assert.Equal(201, created.Status);
        await server.Until($"/v2/apps/{id}", r => r["app"].GetProperty("tasksHealthy").GetInt32() == 1, "it is healthy");
        await server.Until($"/v2/apps/{id}", r => r["app"].GetProperty("deployments").GetArrayLength() == 0, "deployed");

        Assert.Equal(200, (await server.Deployed(server.Put($"/v2/apps/{id}", """{"instances":"2"}"""))).Status);
        var lines = (await server.Get("/v2/tasks", "text/plain")).Text.Split('\n');
        var line = Assert.Single(lines, l => l.StartsWith($"{id[1..]}\t12321\t", StringComparison.Ordinal)).Split('\t', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(4, line.Length);
        Assert.All(line[2..], backend => Assert.Matches(@"^node\d\.lab:31\d{3}$", backend));

        var tasks = (await server.Get($"/v2/apps/{id}/tasks"))["tasks"].EnumerateArray().Select(t => t.GetProperty("id").GetString()!).ToList();
        Assert.Equal(200, (await server.Deployed(server.Delete($"/v2/apps/{id}/tasks/{tasks[0]}?scale=true"))).Status);
        Assert.Equal([tasks[1]], (await server.Get($"/v2/apps/{id}/tasks"))["tasks"].EnumerateArray().Select(t => t.GetProperty("id").GetString()!));
        Assert.Equal(1, (await server.Get($"/v2/apps/{id}"))["app"].GetProperty("instances").GetInt32());

        Assert.Equal(200, (await server.Deployed(server.Delete($"/v2/apps/{id}"))).Status);
        Assert.Equal(404, (await server.Get($"/v2/apps/{id}")).Status);
    }

    [Fact]
    public async Task A_script_of_1_10_goes_its_whole_way()
    {
        var id = server.NewId("prod/web");
        await server.Plays(id, Play.Staging);
        var created = await server.Post("/v2/apps", $$$"""
            {"id":"{{{id}}}","cpus":0.1,"mem":64,"instances":2,"networks":[{"mode":"host"}],"portDefinitions":[{"port":0,"name":"http","protocol":"tcp","labels":{"VIP_0":"/web:80"}},{"port":0,"name":"admin"}],
             "container":{"type":"DOCKER","docker":{"image":"nginx:1.25","forcePullImage":true},"volumes":[]},"healthChecks":[{"protocol":"MESOS_HTTP","path":"/","portIndex":0}],
             "constraints":[["hostname","UNIQUE"]],"unreachableStrategy":{"inactiveAfterSeconds":0,"expungeAfterSeconds":0},"killSelection":"YOUNGEST_FIRST","role":"prod","labels":{"team":"a"} }
            """);
        Assert.Equal(201, created.Status);
        var deployment = created.Header("Marathon-Deployment-Id");
        Assert.Contains(deployment, (await server.Get("/v2/deployments")).Json.EnumerateArray().Select(d => d.GetProperty("id").GetString()));
        await server.Plays(id, Play.Healthy);
        await server.Until(s => !s.Deployments.ContainsKey(new DeploymentId(deployment!)), "deployed");

        var listed = Assert.Single((await server.Get($"/v2/apps?label=team%3D%3Da&id={id}&embed=apps.tasks&embed=apps.counts&embed=apps.taskStats"))["apps"].EnumerateArray());
        Assert.Equal((2, 2), (listed.GetProperty("tasks").GetArrayLength(), listed.GetProperty("tasksHealthy").GetInt32()));
        Assert.Equal("prod", listed.GetProperty("role").GetString());
        Assert.Equal(2, listed.GetProperty("tasks")[0].GetProperty("ports").GetArrayLength());

        var first = listed.GetProperty("version").GetString();
        await server.Deployed(server.Patch($"/v2/apps{id}", """{"env":{"RELEASE":"2"}}"""));
        var versions = (await server.Get($"/v2/apps{id}/versions"))["versions"].EnumerateArray().Select(v => v.GetString()).ToList();
        Assert.Equal((2, first), (versions.Count, versions[1]));
        await server.Deployed(server.Put($"/v2/apps{id}", $"{{\"version\":\"{first}\"}}"));
        Assert.False((await server.Get($"/v2/apps{id}"))["app"].TryGetProperty("env", out _));

        await server.Deployed(server.Post($"/v2/apps{id}/restart"));
        await server.Plays(id, Play.Staging);
        var scaled = await server.Put($"/v2/apps{id}?force=true", """{"instances":5}""");
        Assert.Equal(200, scaled.Status);
        var waiting = (await server.Until("/v2/queue", r => r["queue"].EnumerateArray().Any(i => i.GetProperty("app").GetProperty("id").GetString() == id), "it waits"))["queue"].EnumerateArray().Single(i => i.GetProperty("app").GetProperty("id").GetString() == id);
        Assert.True(waiting.GetProperty("delay").GetProperty("overdue").GetBoolean());
        await server.Deployed(server.Delete($"/v2/apps{id}"));
    }
}

/// <summary>With `--marathon-2015-fields`.</summary>
public sealed class Dialect2015ContractTests(Dialect2015ContractTests.Old server) : IClassFixture<Dialect2015ContractTests.Old>
{
    public sealed class Old : MarathonServer
    {
        protected override ControlPlaneOptions With(ControlPlaneOptions options) => options with { Marathon2015Fields = true };
    }

    [Fact]
    public async Task A_client_of_2015_reads_every_field_it_knows_where_there_is_nothing_too()
    {
        var id = server.NewId();
        await server.Post("/v2/apps", AppBodies.Minimal(id, ",\"instances\":0,\"ports\":[12400]"));
        var app = (await server.Get($"/v2/apps{id}"))["app"];
        string[] expected =
        [
            "acceptedResourceRoles=null", "args=null", "cmd=null", "constraints=[]", "dependencies=[]", "env={}", "executor=\"\"", "healthChecks=[]", "ports=[12400]", "requirePorts=false", "storeUrls=[]", "uris=[]", "user=null",
        ];
        Assert.Equal(expected, expected.Select(e => e.Split('=')[0]).Select(name => $"{name}={app.GetProperty(name).GetRawText()}"));
        Assert.Equal(("HOST", JsonValueKind.Null), (app.GetProperty("container").GetProperty("docker").GetProperty("network").GetString(), app.GetProperty("container").GetProperty("docker").GetProperty("portMappings").ValueKind));
        Assert.Equal(12400, app.GetProperty("portDefinitions")[0].GetProperty("port").GetInt32());
    }

    [Fact]
    public async Task Bridged_ports_are_in_both_places_and_what_is_given_is_not_null()
    {
        var id = server.NewId();
        await server.Post("/v2/apps", AppBodies.Bridged(id, ",\"instances\":0,\"cmd\":\"run it\",\"constraints\":[[\"hostname\",\"UNIQUE\"]]"));
        var app = (await server.Get($"/v2/apps?id={id}"))["apps"][0];
        Assert.Equal("run it", app.GetProperty("cmd").GetString());
        Assert.Equal(1, app.GetProperty("constraints").GetArrayLength());
        var container = app.GetProperty("container");
        Assert.Equal("BRIDGE", container.GetProperty("docker").GetProperty("network").GetString());
        Assert.Equal(container.GetProperty("portMappings").GetRawText(), container.GetProperty("docker").GetProperty("portMappings").GetRawText());
        Assert.Equal(container.GetProperty("portMappings")[0].GetProperty("servicePort").GetInt32(), Assert.Single(app.GetProperty("ports").EnumerateArray()).GetInt32());
        foreach (var field in app.EnumerateObject().GroupBy(f => f.Name)) Assert.Single(field);
    }

    [Fact]
    public async Task What_is_shown_in_both_forms_can_be_sent_back_and_changes_nothing()
    {
        foreach (var make in (Func<string, string>[])[id => AppBodies.Bridged(id), id => AppBodies.Minimal(id)])
        {
            var id = server.NewId("round");
            await server.Deployed(server.Post("/v2/apps", make(id)));
            var app = (await server.Get($"/v2/apps{id}"))["app"];
            string[] readOnly = ["version", "versionInfo", "tasks", "deployments"];
            await server.Deployed(server.Put($"/v2/apps{id}", $"{{{string.Join(',', app.EnumerateObject().Where(f => !readOnly.Contains(f.Name)).Select(f => $"\"{f.Name}\":{f.Value.GetRawText()}"))}}}"));
            Assert.Equal(app.GetProperty("version").GetString(), (await server.Get($"/v2/apps{id}"))["app"].GetProperty("version").GetString());
        }
    }
}
