"""The chapters of the demo, in the order in which they are told. A new one is a module here with `tell`, and a line below."""

from collections.abc import Callable, Mapping

from demo.chapters import accounts, gang, sharing
from demo.stage import Stage

CHAPTERS: Mapping[str, Callable[[Stage], None]] = {
    "gang": gang.tell,
    "sharing": sharing.tell,
    "accounts": accounts.tell,
}
