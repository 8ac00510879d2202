namespace Drover.ControlPlane.Tests.Marathon.Contract;

/// <summary>Bodies that several classes send.</summary>
internal static class AppBodies
{
    /// <param name="more">Further fields, each with a comma before it.</param>
    public static string Minimal(string id, string more = "") => $$"""{"id":"{{id}}","cpus":0.1,"mem":32,"container":{"type":"DOCKER","docker":{"image":"busybox"} }{{more}} }""";

    /// <summary>With a published port in a network of the container's own.</summary>
    public static string Bridged(string id, string more = "") =>
        $$"""{"id":"{{id}}","cpus":0.1,"mem":32,"networks":[{"mode":"container/bridge"}],"container":{"type":"DOCKER","docker":{"image":"nginx"},"portMappings":[{"containerPort":80,"hostPort":0,"name":"web"}]}{{more}} }""";

    /// <summary>With a volume of Drover's.</summary>
    public static string WithVolume(string id, string volume, string more = "") =>
        $$"""{"id":"{{id}}","cpus":0.1,"mem":32,"container":{"type":"DOCKER","docker":{"image":"postgres:15"},"volumes":[{"containerPath":"/data","hostPath":"/flocker/{{volume}}","mode":"RW"}]}{{more}} }""";
}
