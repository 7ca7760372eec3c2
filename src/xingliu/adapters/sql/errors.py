"""What the database says, in the port's words; and what is wrong with a store before it is one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import exc

from xingliu.control.errors import BrokenRule, StoreUnavailable
from xingliu.control.nouns import DEVICE_RULE
from xingliu.kernel.errors import BadValue, XingliuError


@dataclass(eq=False)
class StoreTooNew(XingliuError):
    """The store is at revision {found}; this version of xingliu knows revisions up to {known}."""

    code: ClassVar[str] = "store_too_new"
    hint: ClassVar[str] = "A newer xingliu wrote it and stores are never taken back: install that version, or restore a backup."
    found: str
    known: str


@dataclass(eq=False)
class StoreNotEmpty(XingliuError):
    """There is already a store in {where}."""

    code: ClassVar[str] = "store_not_empty"
    hint: ClassVar[str] = "A backup is restored into an empty place: name another one, or move this one away."
    where: str


@dataclass(eq=False)
class BrokenBackup(XingliuError):
    """The backup cannot be restored: {why}."""

    code: ClassVar[str] = "broken_backup"
    hint: ClassVar[str] = "Nothing was restored. Fetch it again from where it was kept, or take an older one."
    why: str


FILE_CANNOT_BE_OPENED = "its file cannot be opened; does the folder exist, and may this user write to it?"
_PLAIN = {
    "FOREIGN KEY constraint failed": "what a value names must exist",
    "database or disk is full": "the disk it is on is full",
    "database is locked": "another process holds it locked",
    "unable to open database file": FILE_CANNOT_BE_OPENED,
    "attempt to write a readonly database": "its file may not be written to",
    "disk I/O error": "the disk it is on fails to read or write",
    "database disk image is malformed": "its file is damaged",
    "file is not a database": "its file is not a SQLite database",
    "Connection refused": "the database server refused the connection; is it running?",
    "password authentication failed": "the database server refused the user name or password",
    "lock timeout": "another process holds it locked",
    "too many clients": "the database server has no connection left",
    "server closed the connection": "the database server closed the connection",
    "connection failed": "the database server cannot be reached",
    "connection is bad": "the database server cannot be reached",
}


def plain(error: BaseException) -> str:
    """One sentence on why the database did not do it."""
    said = str(getattr(error, "orig", None) or error)
    for fragment, sentence in _PLAIN.items():
        if fragment in said:
            return sentence
    return (said.strip().splitlines() or ["no reason given"])[0]


def refusal(error: Exception) -> XingliuError:
    """The port's error for one of the database's."""
    if isinstance(error, UnicodeEncodeError) or "NUL (0x00)" in str(error):
        return BadValue("this text", "text that can be stored", "Leave out NUL characters and broken Unicode.")
    if not isinstance(error, exc.IntegrityError):
        return StoreUnavailable(plain(error))
    said = str(error.orig)
    return BrokenRule(DEVICE_RULE if "held_gpus" in said else plain(error))


@contextmanager
def in_words() -> Iterator[None]:
    """Let no error of the database out as its own."""
    try:
        yield
    except exc.SQLAlchemyError as error:
        raise refusal(error) from error
