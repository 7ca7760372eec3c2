"""How an error looks: the message, the hint on a line of its own, exit code 1. With --json: the problem document."""

import json as jsons
import os
import sys
from collections.abc import Mapping

import click

from xingliu.cli.errors import ApiProblem
from xingliu.kernel.errors import XingliuError
from xingliu.kernel.problems import InvalidDocument

INTERRUPTED = 130


def failed(error: Exception, *, json: bool) -> int:
    """Show the error and give the exit code; what is a defect of ours is raised again."""
    if isinstance(error, BrokenPipeError):  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, click.Abort):
        click.echo("", err=True)
        return INTERRUPTED
    if isinstance(error, click.ClickException):
        return _usage(error)
    if isinstance(error, OSError):
        click.echo(f"{error.filename or 'The system'}: {error.strerror or error}", err=True)
        return 1
    if not isinstance(error, XingliuError):
        raise error
    if json:
        click.echo(jsons.dumps(_document(error), indent=2, ensure_ascii=False))
    else:
        _show(error)
    return 1


def _usage(error: click.ClickException) -> int:
    click.echo(error.format_message(), err=True)
    context = getattr(error, "ctx", None)
    if context is not None and "\n" not in error.message:
        click.echo(f"See `{context.command_path} --help`.", err=True)
    return 1


def _show(error: XingliuError) -> None:
    problems = problem_lines(error)
    for problem in problems:
        click.echo(problem, err=True)
    if not problems:
        click.echo(str(error), err=True)
    if error.advice():
        click.echo(error.advice(), err=True)


def problem_lines(error: XingliuError) -> list[str]:
    """Of a document that cannot be used: a line for each, `file:line: what`."""
    if isinstance(error, InvalidDocument):
        return [f"{error.source}{f':{one.line}' if one.line else ''}: {one.message}" for one in error.problems]
    if isinstance(error, ApiProblem):
        return [_placed(one) for one in error.document.get("problems", ())]
    return []


def _placed(problem: Mapping[str, object]) -> str:
    key, message = str(problem.get("key") or ""), str(problem["message"])
    if problem.get("line"):
        return f"line {problem['line']}: {message}"
    return message if key in message else f"{key}: {message}"


def _document(error: XingliuError) -> dict[str, object]:
    if isinstance(error, ApiProblem):
        return dict(error.document)
    document: dict[str, object] = {"title": str(error), "code": error.code, "detail": str(error), "hint": error.advice()}
    if isinstance(error, InvalidDocument):
        document["problems"] = [dict(problem.facts()) for problem in error.problems]
    return document
