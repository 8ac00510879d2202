using System.CommandLine;
using Drover.Cli.Control;

namespace Drover.Cli.Commands;

/// <summary>Prints a script that lets the shell ask this program for what may come next.</summary>
public static class CompletionCommand
{
    public static Command Build()
    {
        var shell = new Argument<string>("shell") { Description = "bash, zsh or fish" };
        shell.AcceptOnlyFromAmong("bash", "zsh", "fish");
        var command = new Command("completion", "Shell completion: `source <(drover completion bash)`") { shell };
        command.SetAction(parsed =>
        {
            Console.Out.WriteLine(parsed.GetRequiredValue(shell) switch { "bash" => Bash, "zsh" => Zsh, _ => Fish });
            return ExitCode.Done;
        });
        return command;
    }

    private const string Bash =
        """
        _drover() { local IFS=$'\n'; COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}")); }
        complete -o default -F _drover drover ./drover
        """;

    private const string Zsh =
        """
        _drover() { local -a found; found=("${(@f)$(${words[1]} "[suggest:${#BUFFER}]" "${BUFFER}" 2>/dev/null)}"); compadd -a found; }
        compdef _drover drover
        """;

    private const string Fish =
        """
        complete -f -c drover -a '(set -l line (commandline -cp); drover "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null)'
        """;
}
