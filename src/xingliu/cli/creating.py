"""Creating one thing: with an idempotency key of its own, so that a lost answer makes nothing twice."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import click

from xingliu.cli.output import print_json
from xingliu.cli.session import Session


def new_request_key() -> str:
    """128 bits of chance, which tell this request from every other. `secrets` would take 25 ms to import."""
    return os.urandom(16).hex()


def create_once(session: Session, path: str, body: Mapping[str, object], said: Callable[[dict[str, Any]], str]) -> dict[str, Any]:
    """What was made, after telling it. Keys that are None are left out of the body."""
    given = {name: value for name, value in body.items() if value is not None}
    made = session.client.post(path, given, once=new_request_key())
    if session.json:
        print_json(made)
    else:
        click.echo(said(made))
    return made
