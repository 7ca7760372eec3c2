"""The `xl` command, a client of the API; see README.md."""

from xingliu.cli.entry import main

__all__ = ["main"]
