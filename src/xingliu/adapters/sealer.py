"""Secrets sealed with AES-256-GCM under a key file that is not in the store and not in its backups."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from xingliu.control.errors import CannotUnseal
from xingliu.kernel.errors import XingliuError

_FORM = b"\x01"
_KEY_BYTES, _NONCE_BYTES = 32, 12


@dataclass(eq=False)
class BadKeyFile(XingliuError):
    """The key file {path} cannot be used: {why}."""

    code: ClassVar[str] = "bad_key_file"
    hint: ClassVar[str] = "{way_out}"
    path: str
    why: str
    way_out: str


class FileSealer:
    """`path` is made with a fresh key, readable by its owner alone, if it does not exist. Raises BadKeyFile.

    A sealed value is one byte of form, 12 of nonce, then ciphertext and tag; the secret's name is bound in.
    """

    def __init__(self, path: Path) -> None:
        self._cipher = AESGCM(_read_key(path))

    def seal(self, name: str, plain: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _FORM + nonce + self._cipher.encrypt(nonce, plain.encode(), name.encode())

    def unseal(self, name: str, sealed: bytes) -> str:
        nonce, text = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _FORM or len(nonce) < _NONCE_BYTES:
            raise CannotUnseal(name)
        try:
            return self._cipher.decrypt(nonce, text, name.encode()).decode()
        except InvalidTag:
            raise CannotUnseal(name) from None


def _read_key(path: Path) -> bytes:
    if not path.exists():
        _make_key(path)
    if path.stat().st_mode & 0o077:
        raise BadKeyFile(str(path), "others may read it", f"Take their access away: chmod 600 {path}")
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise BadKeyFile(str(path), f"it does not hold {_KEY_BYTES} bytes", "Put the right one back; sealed secrets need it.")
    return key


def _make_key(path: Path) -> None:
    """Whole or not at all, and never over one that another process made meanwhile."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
