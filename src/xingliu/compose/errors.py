"""What can keep a cloud from coming up, or going down."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from xingliu.kernel.errors import XingliuError


@dataclass(eq=False)
class AlreadyUp(XingliuError):
    """A cloud is already up on {home}, at {url} (process {pid})."""

    code: ClassVar[str] = "already_up"
    hint: ClassVar[str] = "Use it, stop it with `xl down`, or choose another folder with --home."
    home: Path
    url: str
    pid: int


@dataclass(eq=False)
class PortTaken(XingliuError):
    """Port {port} on {host} is taken by another program."""

    code: ClassVar[str] = "port_taken"
    hint: ClassVar[str] = "Choose another with --port, or --port 0 for any that is free."
    host: str
    port: int


@dataclass(eq=False)
class NotUp(XingliuError):
    """No cloud is up on {home}."""

    code: ClassVar[str] = "not_up"
    hint: ClassVar[str] = "Start one with `xl up`."
    home: Path


@dataclass(eq=False)
class DidNotStart(XingliuError):
    """The control plane did not start: {why}"""

    code: ClassVar[str] = "did_not_start"
    hint: ClassVar[str] = "The whole story is in {log_file}."
    why: str
    log_file: Path


@dataclass(eq=False)
class DidNotStop(XingliuError):
    """Process {pid} was asked to stop {waited_s} s ago and is still there."""

    code: ClassVar[str] = "did_not_stop"
    hint: ClassVar[str] = (
        "It finishes what it is doing; look again with `xl down`, or end it with `kill -9 {pid}`: nothing is lost."
    )
    pid: int
    waited_s: int


@dataclass(eq=False)
class BadCertificate(XingliuError):
    """{cert} and {key} cannot be used for TLS: {why}"""

    code: ClassVar[str] = "bad_certificate"
    hint: ClassVar[str] = "Both must be PEM, readable, and belong together; the certificate's chain comes first in its file."
    cert: Path
    key: Path
    why: str
