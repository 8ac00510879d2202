namespace Drover.ControlPlane.Marathon;

/// <summary>Settings of the server that change how apps are read and written, wherever in the answer to a request that happens.</summary>
public static class MarathonSettings
{
    // Of the request, not a parameter of every view and reader in between; none outside of one.
    private static readonly AsyncLocal<ControlPlaneOptions?> Current = new();

    public static bool Fields2015 => Current.Value?.Marathon2015Fields == true;

    /// <summary>What a command without an image of its own runs in; null: such an app is refused.</summary>
    public static string? CommandImage => Current.Value?.CommandImage;

    public static void Use(ControlPlaneOptions? options) => Current.Value = options;
}
