"""Notifications by HTTP POST: one try, one deadline, no redirects, nothing of the answer but its status."""

import ipaddress
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import BadStatusLine, HTTPConnection, HTTPException
from threading import Timer
from urllib.parse import SplitResult, urlsplit

from xingliu import __version__
from xingliu.control.errors import DeliveryFailed

TIMEOUT_S = 10
_PORTS = {"http": 80, "https": 443}


class WebhookPostman:
    """Posts JSON. To connect to an address, and then for the whole exchange, there are `timeout_s` seconds each.

    Link-local addresses are refused: what answers there (a provider's metadata service) trusts the machine, and the URL
    is a tenant's.
    """

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._tls = ssl.create_default_context()

    def post(self, url: str, body: Mapping[str, object]) -> None:
        """Delivered means a status of 200 to 299. The error names only the URL's origin: the rest may be a secret."""
        origin = "its URL"
        try:
            parts = urlsplit(url)
            origin = f"{parts.scheme}://{parts.hostname or ''}"
            status = self._status(parts, json.dumps(body).encode())
        except (OSError, HTTPException, ValueError) as error:
            raise DeliveryFailed(origin, _plain(error, self._timeout_s)) from error
        if 300 <= status < 400:
            raise DeliveryFailed(origin, f"it redirects ({status}), which is not followed")
        if not 200 <= status < 300:
            raise DeliveryFailed(origin, f"it answered with status {status}")

    def _status(self, parts: SplitResult, body: bytes) -> int:
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("only http:// and https:// URLs can be posted to")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {
            "Host": parts.netloc.rpartition("@")[2],
            "Content-Type": "application/json",
            "User-Agent": f"xingliu/{__version__}",
            "Connection": "close",
        }
        connection = HTTPConnection(parts.hostname)
        with self._connected(parts) as connection.sock:
            connection.request("POST", target, body, headers)
            return connection.getresponse().status

    @contextmanager
    def _connected(self, parts: SplitResult) -> Iterator[socket.socket]:
        """A socket that is cut off at the deadline, however slowly the other side drips."""
        host = str(parts.hostname)
        plug = self._connect(host, parts.port or _PORTS[parts.scheme])
        line = plug.dup()
        deadline = Timer(self._timeout_s, _cut, [line])
        deadline.start()
        try:
            if parts.scheme == "https":
                plug = self._tls.wrap_socket(plug, server_hostname=host)
            yield plug
        finally:
            deadline.cancel()
            plug.close()
            line.close()

    def _connect(self, host: str, port: int) -> socket.socket:
        """To an address that was checked, so that the name cannot change its mind in between."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(where[0]) for *_, where in found]
        if any(ipaddress.ip_address(address.partition("%")[0]).is_link_local for address in addresses):
            raise ValueError("link-local addresses are refused")
        for address in addresses[:-1]:
            try:
                return socket.create_connection((address, port), self._timeout_s)
            except OSError:
                continue
        return socket.create_connection((addresses[-1], port), self._timeout_s)


def _cut(line: socket.socket) -> None:
    """End the connection, whichever object holds it."""
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def _plain(error: Exception, timeout_s: float) -> str:
    match error:
        case TimeoutError() | BadStatusLine():
            return f"no answer within {timeout_s:g} s, or none in HTTP"
        case ConnectionRefusedError():
            return "nothing listens there"
        case socket.gaierror():
            return "its name cannot be looked up"
        case ssl.SSLCertVerificationError():
            return "its certificate is not trusted"
        case HTTPException():
            return "it does not speak HTTP"
        case _:
            return str(error) or type(error).__name__
