"""Which cloud, and with which key. A credentials file is JSON {"url", "key", "ca"?}, readable by its owner only.

The first of these counts:

1. XL_URL and XL_KEY in the environment; one of them alone replaces that part of what follows,
2. $XL_HOME/client.json, where XL_HOME is set,
3. the file `xl login` writes, `xingliu/client.json` under $XDG_CONFIG_HOME or ~/.config,
4. ~/.xingliu/client.json, which `xl up` writes.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from xingliu.cli.errors import BadCredentialsFile, NotLoggedIn, PlainHttpRefused
from xingliu.kernel.errors import BadValue

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Credentials:
    """`ca` is a file of certificates to trust beside the system's; `source` says where all this came from."""

    url: str
    key: str
    ca: str | None = None
    source: str = ""


def login_file() -> Path:
    root = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(root) / "xingliu" / "client.json"


def home_file() -> Path:
    return Path(os.environ.get("XL_HOME") or Path.home() / ".xingliu") / "client.json"


def find_credentials() -> Credentials:
    """Raises NotLoggedIn, BadCredentialsFile, PlainHttpRefused."""
    found = next((read_credentials(place) for place in _places() if place.exists()), None)
    url, key = os.environ.get("XL_URL"), os.environ.get("XL_KEY")
    if not (url and key) and found is None:
        raise NotLoggedIn
    found = found or Credentials("", "")
    url = check_url(url) if url else found.url
    ca = os.environ.get("XL_CA") or (found.ca if url == found.url else None)
    given = [name for name in ("XL_URL", "XL_KEY") if os.environ.get(name)]
    return Credentials(url, key or found.key, ca, " and ".join(given if len(given) == 2 else [*given, found.source]))


def _places() -> Iterator[Path]:
    if os.environ.get("XL_HOME"):
        yield home_file()
    yield login_file()
    yield home_file()


def read_credentials(path: Path) -> Credentials:
    """Raises NotLoggedIn, BadCredentialsFile."""
    if not path.exists():
        raise NotLoggedIn
    try:
        document = json.loads(path.read_text())
        return Credentials(str(document["url"]), str(document["key"]), document.get("ca"), str(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadCredentialsFile(str(path)) from error


def save_credentials(path: Path, credentials: Credentials) -> None:
    """Write them whole, for the owner's eyes only. Raises PlainHttpRefused."""
    document = {"url": credentials.url, "key": credentials.key}
    if credentials.ca:
        document["ca"] = credentials.ca
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(document, file)
    new.replace(path)


def check_url(url: str) -> str:
    """The address without a trailing slash, with a scheme. Raises BadValue, PlainHttpRefused off loopback."""
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        here, _ = parts.hostname in LOOPBACK, parts.port
    except ValueError:
        raise BadValue(url, "an address", "Write it like https://cloud.example.org or http://127.0.0.1:8470.") from None
    address = url if "://" in url else f"{'http' if here else 'https'}://{url}"
    if not address.startswith("https://") and not (here and address.startswith("http://")):
        raise PlainHttpRefused(url)
    return address.rstrip("/")
