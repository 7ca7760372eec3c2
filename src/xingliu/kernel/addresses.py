"""Mail addresses, in the plain form that can stand in a header and in an SMTP command."""

import re

from xingliu.kernel.keytables import Entry, Shape

LONGEST = 254
_WORD = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PATTERN = rf"{_WORD}(?:\.{_WORD})*@{_LABEL}(?:\.{_LABEL})*"
_ADDRESS = re.compile(_PATTERN)


def is_address(text: str) -> bool:
    """Whether it is one, of letters that every mail server takes."""
    return len(text) <= LONGEST and _ADDRESS.fullmatch(text) is not None and len(text.partition("@")[0]) <= 64


def _read(entry: Entry) -> str:
    if not isinstance(entry.value, str) or not is_address(entry.value):
        raise entry.not_a("a mail address", "Write it without a name around it, in ASCII: ada@example.org.")
    return entry.value


ADDRESS = Shape(_read, {"type": "string", "format": "email", "maxLength": LONGEST, "examples": ["ada@example.org"]})
