using System.Security.Cryptography.X509Certificates;
using Drover.Contracts.Agent;
using Drover.ControlPlane.Volumes;
using Drover.Core;
using Google.Protobuf;
using Grpc.Core;

namespace Drover.ControlPlane.Agents;

/// <summary>Volumes' files between a node and a request of the API: each stream once, and only for the node that was asked.</summary>
public sealed partial class AgentLinkService
{
    private const int LargestPiece = 256 * 1024;

    public override async Task<VolumePoured> Pour(IAsyncStreamReader<VolumePiece> requestStream, ServerCallContext context)
    {
        using var patience = new CancellationTokenSource(HelloTime, time);
        using var first = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, patience.Token);
        if (!await requestStream.MoveNext(first.Token)) throw Refused(StatusCode.InvalidArgument, "the first message must name a stream");
        var open = Taken(requestStream.Current.StreamId, context, stream => stream.To is not null);
        await Carry(open, context, async over =>
        {
            do
            {
                if ((await open.To!.WriteAsync(requestStream.Current.Data.Memory, over)).IsCompleted) throw new IOException("whoever asked for the export has gone");
            }
            while (await requestStream.MoveNext(over));
        });
        return new VolumePoured();
    }

    public override Task Draw(VolumeDraw request, IServerStreamWriter<VolumePiece> responseStream, ServerCallContext context)
    {
        var open = Taken(request.StreamId, context, stream => stream.From is not null);
        return Carry(open, context, async over =>
        {
            while (true)
            {
                var read = await open.From!.ReadAsync(over);
                foreach (var segment in read.Buffer)
                    for (var left = segment; left.Length > 0; left = left[Math.Min(LargestPiece, left.Length)..])
                        await responseStream.WriteAsync(new VolumePiece { Data = ByteString.CopyFrom(left.Span[..Math.Min(LargestPiece, left.Length)]) }, over);
                open.From.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) return;
            }
        });
    }

    private async Task Carry(OpenStream open, ServerCallContext context, Func<CancellationToken, Task> carry)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping, open.Over);
        try
        {
            await carry(over.Token);
            open.End(null);
        }
        catch (Exception e)
        {
            open.End(e);
            throw Refused(StatusCode.Aborted, e is OperationCanceledException ? "the other end of the stream has gone" : $"the stream broke off at the control plane: {e.Message}");
        }
    }

    private OpenStream Taken(string id, ServerCallContext context, Func<OpenStream, bool> fits)
    {
        StillTrusted(context);
        var caller = context.GetHttpContext().Connection.ClientCertificate?.GetNameInfo(X509NameType.SimpleName, forIssuer: false);
        var open = streams.Find(id);
        var node = open?.Node ?? cluster.Current.Operations.GetValueOrDefault(new OperationId(id))?.Node;
        if (open is not null && node?.Value != caller) throw Refused(StatusCode.PermissionDenied, $"this stream is not for '{caller}'");
        if (open is null || !fits(open) || !open.Take()) throw Refused(StatusCode.NotFound, "the stream is not there any more: it was taken before, or whoever opened it has gone");
        return open;
    }
}
