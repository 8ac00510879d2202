namespace Drover.ControlPlane.Access;

/// <summary>`drover-control certificate`: what an agent needs to be let in. Works beside a running control plane.</summary>
public static class CertificateCommand
{
    public static int Run(CommandLine.Certificate make, TimeProvider time)
    {
        using var folder = DataFolder.Share(make.Data);
        using var authority = CertificateAuthority.OpenOrCreate(folder, time);
        var (certificate, key) = authority.Issue(make.Node, [make.Address]);
        Directory.CreateDirectory(make.Out, DataFolder.Secret | UnixFileMode.UserExecute);
        DataFolder.WriteWhole(Path.Combine(make.Out, "node.key"), key, DataFolder.Secret);
        DataFolder.WriteWhole(Path.Combine(make.Out, "node.pem"), certificate, DataFolder.Open);
        DataFolder.WriteWhole(Path.Combine(make.Out, "ca.pem"), authority.CertificatePem, DataFolder.Open);
        Console.Out.WriteLine($"{make.Out}: ca.pem, node.pem, node.key for node {make.Node} at {make.Address}");
        return 0;
    }
}
