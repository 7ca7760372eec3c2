"""The tree of commands: golden in docs/cli.txt, and the same texts wherever a command is described."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from xingliu.cli.entry import COMMANDS, xl

GOLDEN = Path(__file__).parent.parent / "docs" / "cli.txt"


def leaves(command: click.Command, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command with its path and context, groups before what is in them."""
    yield context.command_path, command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            if (inner := command.get_command(context, name)) is not None:
                yield from leaves(inner, click.Context(inner, info_name=name, parent=context))


def everything() -> list[tuple[str, click.Command, click.Context]]:
    return list(leaves(xl, click.Context(xl, info_name="xl")))


def tree() -> str:
    """One line a command and one an option, in the order of help."""
    lines: list[str] = []
    for path, command, context in everything():
        lines.append(" ".join([path, *(piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]")]))
        for parameter in command.get_params(context):
            record = parameter.get_help_record(context)
            if record and isinstance(parameter, click.Option) and "--help" not in parameter.opts:
                lines.append(f"    {record[0]}  {record[1]}".rstrip())
    return "\n".join(lines) + "\n"


def test_the_golden_tree_of_commands_is_current() -> None:
    """`./dev fix` writes it anew."""
    if os.environ.get("XL_GOLDEN") == "write":
        GOLDEN.write_text(tree())
    assert GOLDEN.read_text() == tree()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_of_itself_what_the_list_says_of_it(name: str) -> None:
    command = xl.get_command(click.Context(xl), name)
    assert command is not None
    assert command.get_short_help_str(limit=200) == COMMANDS[name][1]
    assert command.name == name


def test_every_command_shows_examples_and_takes_json() -> None:
    for path, command, context in everything()[1:]:
        assert command.help and "\b\n" in command.help and "xl " in command.help.partition("\b\n")[2], f"{path}: no examples"
        asks_nothing = isinstance(command, click.Group) or path in ("xl completion", "xl attach", "xl logs")
        options = {option for parameter in command.get_params(context) for option in parameter.opts}
        assert asks_nothing or "--json" in options, f"{path}: no --json"


def test_every_option_says_what_it_does() -> None:
    for path, command, context in everything():
        for parameter in command.get_params(context):
            assert not isinstance(parameter, click.Option) or parameter.help, f"{path} {parameter.name}"


SAID = re.compile(r"`xl ([a-z]+)(?: ([a-z]+)\b)?")


def test_every_command_that_a_message_names_exists() -> None:
    for path in sorted((GOLDEN.parent.parent / "src").rglob("*.py")):
        for first, second in SAID.findall(path.read_text()):
            command = xl.get_command(click.Context(xl), first)
            assert command is not None, f"{path.name} says `xl {first}`"
            if isinstance(command, click.Group) and second:
                assert second in command.commands, f"{path.name} says `xl {first} {second}`"


def test_help_lines_fit_a_terminal() -> None:
    for path, command, context in everything():
        for line in command.get_help(context).splitlines():
            assert len(line) <= 80, f"{path}: {line}"
