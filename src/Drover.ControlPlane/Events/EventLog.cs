namespace Drover.ControlPlane.Events;

internal static partial class EventLog
{
    [LoggerMessage(120, LogLevel.Warning, "A listener of {Stream} at {Address} was {Behind} events behind and was closed: it reads more slowly than things happen")]
    public static partial void ListenerBehind(this ILogger log, string stream, string address, int behind);

    [LoggerMessage(121, LogLevel.Warning, "{Count} events for {Url} were dropped: {Why}")]
    public static partial void CallbackDropped(this ILogger log, string url, int count, string why);
}
