"""`xl completion`."""

import click
from click.shell_completion import get_completion_class

from xingliu.kernel.errors import BadValue


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that lets a shell complete xl.

    \b
    echo 'eval "$(xl completion bash)"' >> ~/.bashrc
    echo 'eval "$(xl completion zsh)"' >> ~/.zshrc
    xl completion fish > ~/.config/fish/completions/xl.fish
    """
    maker = get_completion_class(shell)
    if maker is None:
        raise BadValue(shell, "a shell that can complete", "One of bash, zsh, fish.")
    script = maker(context.find_root().command, {}, "xl", "_XL_COMPLETE")
    click.echo(script.source_template % script.source_vars())
