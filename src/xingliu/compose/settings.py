"""Where a cloud lives and how it is reached."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from xingliu.kernel.errors import XingliuError

DEFAULT_PORT = 8470
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(eq=False)
class TlsRequired(XingliuError):
    """{host} can be reached from other machines, so the API needs TLS there."""

    code: ClassVar[str] = "tls_required"
    hint: ClassVar[str] = "Give --tls-cert and --tls-key, or stay on 127.0.0.1 (put a reverse proxy with TLS before it)."
    host: str


@dataclass(frozen=True, slots=True)
class UpSettings:
    """One embedded cloud.

    `store_url` None means SQLite in the home; `port` 0 means any free one; without `sandbox` jobs are plain processes of
    this user, for a single tenant who trusts them.
    """

    home: Path
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    store_url: str | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    sandbox: bool = True

    def __post_init__(self) -> None:
        if self.host not in LOOPBACK and not (self.tls_cert and self.tls_key):
            raise TlsRequired(self.host)

    @property
    def url_of_store(self) -> str:
        return self.store_url or f"sqlite:///{self.home / 'store.db'}"

    @property
    def secret_key_file(self) -> Path:
        return self.home / "secret.key"

    @property
    def client_file(self) -> Path:
        return self.home / "client.json"

    @property
    def run_folder(self) -> Path:
        return self.home / "run"

    @property
    def log_file(self) -> Path:
        return self.home / "log" / "up.log"

    def url(self, port: int) -> str:
        scheme = "https" if self.tls_cert else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{port}"


def default_home() -> Path:
    """$XL_HOME, or ~/.xingliu."""
    return Path(os.environ.get("XL_HOME") or Path.home() / ".xingliu").absolute()
