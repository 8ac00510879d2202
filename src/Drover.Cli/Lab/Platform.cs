using System.Runtime.Versioning;

// Namespaces, control groups and btrfs are Linux's.
[assembly: SupportedOSPlatform("linux")]
