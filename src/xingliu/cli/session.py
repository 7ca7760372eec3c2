"""What every command shares: client, JSON or not, asking before acting. `xl --help` imports it: keep it light."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from xingliu.cli.client import Client

F = TypeVar("F", bound=Callable[..., Any])


class Session:
    """One run of `xl`."""

    def __init__(self) -> None:
        self.json = False
        self._client: Client | None = None

    @property
    def client(self) -> "Client":
        """The client of the cloud this user is logged in to. Raises NotLoggedIn, BadCredentialsFile."""
        if self._client is None:
            from xingliu.cli.client import Client  # noqa: PLC0415 - 20 ms that `xl --help` does not need
            from xingliu.cli.credentials import find_credentials  # noqa: PLC0415 - only with the client

            self._client = Client(find_credentials())
        return self._client


def json_option(command: F) -> F:
    """`--json` for a command: data as JSON on standard output, problems too."""

    def remember(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
        context.ensure_object(Session).json |= value

    return click.option(
        "--json", is_flag=True, expose_value=False, is_eager=True, callback=remember, help="Print JSON, for scripts."
    )(command)


def yes_option(command: F) -> F:
    return click.option("-y", "--yes", is_flag=True, help="Do not ask.")(command)


def may_ask() -> bool:
    """Whether a person can answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()
