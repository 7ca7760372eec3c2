"""What can go wrong on the client's side of the wire."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from xingliu.kernel.errors import XingliuError


@dataclass(eq=False)
class NotLoggedIn(XingliuError):
    """There is no cloud to talk to: no key was found for this user on this machine."""

    code: ClassVar[str] = "not_logged_in"
    hint: ClassVar[str] = "Start a cloud here with `xl up`, or log in to one with `xl login URL`."


@dataclass(eq=False)
class BadCredentialsFile(XingliuError):
    """{path} does not hold a url and a key."""

    code: ClassVar[str] = "bad_credentials_file"
    hint: ClassVar[str] = "Run `xl up` or `xl login URL` again; either writes it anew."
    path: str


@dataclass(eq=False)
class CloudUnreachable(XingliuError):
    """The cloud at {url} does not answer: {why}"""

    code: ClassVar[str] = "cloud_unreachable"
    hint: ClassVar[str] = "Start it with `xl up`; jobs that run go on without it. Another cloud: `xl login URL`."
    url: str
    why: str


@dataclass(eq=False)
class NotACloud(XingliuError):
    """What answers at {url} is not a Xingliu cloud: {why}"""

    code: ClassVar[str] = "not_a_cloud"
    hint: ClassVar[str] = "Check the address; `xl whoami` shows which one is used."
    url: str
    why: str


@dataclass(eq=False)
class PlainHttpRefused(XingliuError):
    """A key may not travel to {url} unencrypted."""

    code: ClassVar[str] = "plain_http_refused"
    hint: ClassVar[str] = "Use its https:// address; plain http is for this machine only."
    url: str


@dataclass(eq=False)
class MustSayYes(XingliuError):
    """There is nobody here to ask, and {what} needs a yes."""

    code: ClassVar[str] = "must_say_yes"
    hint: ClassVar[str] = "Add -y to go on without being asked."
    what: str


@dataclass(eq=False)
class NoValueGiven(XingliuError):
    """No value came in for {what}."""

    code: ClassVar[str] = "no_value_given"
    hint: ClassVar[str] = (
        "Type it when asked, or pipe it in: `printf %s VALUE | xl {command}`. It never goes on the command line."
    )
    what: str
    command: str


@dataclass(eq=False)
class NoProject(XingliuError):
    """It is not clear which project is meant{named}."""

    code: ClassVar[str] = "no_project"
    hint: ClassVar[str] = "Name it in full: --project TENANT/NAME; `xl project ls` lists them."
    named: str


@dataclass(eq=False)
class BadPlace(XingliuError):
    """{text} does not say what to copy."""

    code: ClassVar[str] = "bad_place"
    hint: ClassVar[str] = "Write JOB:path, such as hello:checkpoints/last.pt; `xl cp JOB:. FOLDER` copies the whole job folder."
    text: str


@dataclass(eq=False)
class DestinationExists(XingliuError):
    """{path} is there already."""

    code: ClassVar[str] = "destination_exists"
    hint: ClassVar[str] = "Name another destination, or move it away first."
    path: str


@dataclass(eq=False)
class DestinationMissing(XingliuError):
    """There is no folder {path} to copy into."""

    code: ClassVar[str] = "destination_missing"
    hint: ClassVar[str] = "Make it first: `mkdir -p {path}`."
    path: str


@dataclass(eq=False)
class DamagedCopy(XingliuError):
    """The copy broke off: {why}"""

    code: ClassVar[str] = "damaged_copy"
    hint: ClassVar[str] = "What arrived is not complete; run the same command again."
    why: str


@dataclass(eq=False)
class NoTerminal(XingliuError):
    """`xl {command}` draws on a terminal, and there is none here."""

    code: ClassVar[str] = "no_terminal"
    hint: ClassVar[str] = "{way_out}"
    command: str
    way_out: str


@dataclass(eq=False)
class NothingToChange(XingliuError):
    """No change was named."""

    code: ClassVar[str] = "nothing_to_change"
    hint: ClassVar[str] = "Say what to ask for: xl change JOB --nodes 2. `xl why JOB` names what would start it."


@dataclass(eq=False)
class ApiProblem(XingliuError):
    """The cloud refused, and said why in a problem document (RFC 9457)."""

    status: int
    document: Mapping[str, Any]

    def __str__(self) -> str:
        return str(self.document.get("detail") or self.document.get("title") or f"The cloud answered with status {self.status}.")

    def advice(self) -> str:
        return str(self.document.get("hint") or "")
