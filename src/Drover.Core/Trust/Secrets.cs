using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Drover.Core.Trust;

/// <summary>Secrets of tokens: 256 random bits, kept only as their SHA-256.</summary>
/// <remarks>A slow password hash would add nothing: it helps where people choose what can be guessed. 256 random bits cannot be tried out,
/// and a fast hash lets every request be checked.</remarks>
public static class Secrets
{
    private const int Bytes = 32;

    public static string Make(string prefix) => prefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(Bytes));

    public static string Hash(string secret) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(secret)));
}
