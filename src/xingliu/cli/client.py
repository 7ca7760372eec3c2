"""HTTP to the cloud on the standard library: JSON, pages, streams, change streams."""

import http.client
import json
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

from xingliu import __version__
from xingliu.cli.credentials import Credentials
from xingliu.cli.errors import ApiProblem, CloudUnreachable, NoProject, NotACloud
from xingliu.kernel.errors import XingliuError

Json = dict[str, Any]
PAGE = 500
ANSWER_S = 60
_LOST = (http.client.HTTPException, OSError)


def part(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


def parts(name: str) -> str:
    """A name that has slashes of its own, such as `acme/nlp`, as parts of a path."""
    return quote(name, safe="/")


class Readable(Protocol):
    """What a request's body may be read from."""

    def read(self, count: int = -1, /) -> bytes: ...


class Client:
    """One cloud, one key, one connection that is kept between requests. Not for several threads."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self.url = credentials.url.rstrip("/")
        self._base = urlsplit(self.url)
        self._kept: http.client.HTTPConnection | None = None

    # questions -----------------------------------------------------------------------------------------------------

    def get(self, path: str, /, **query: object) -> Json:
        """The JSON there. Raises ApiProblem, CloudUnreachable, NotACloud."""
        return self._ask("GET", path, query)

    def post(self, path: str, body: Mapping[str, object] | None = None, *, once: str | None = None) -> Json:
        """`once` is an idempotency key: with it, a request that may have been lost is sent again."""
        headers = {"Idempotency-Key": once} if once else {}
        return self._ask("POST", path, {}, json.dumps(body or {}).encode(), headers, again=once is not None)

    def delete(self, path: str) -> Json:
        return self._ask("DELETE", path, {})

    def has(self, path: str) -> bool:
        """Whether there is something at `path`."""
        try:
            self._ask("HEAD", path, {})
        except ApiProblem as problem:
            if problem.status == 404:
                return False
            raise
        return True

    def put(self, path: str, body: Readable, length: int) -> None:
        """Send `length` bytes of `body`, as they are read."""
        headers = {"Content-Length": str(length), "Content-Type": "application/gzip"}
        connection, _ = self._open("PUT", path, body, headers)
        connection.close()

    def pages(self, path: str, /, *, most: int | None = None, **query: object) -> Iterator[Json]:
        """The items of a list, page after page, `most` of them."""
        after, left = None, most
        while left is None or left > 0:
            page = self.get(path, limit=min(PAGE, left or PAGE), after=after, **query)
            yield from page["items"]
            left = None if left is None else left - len(page["items"])
            after = page.get("next")
            if after is None:
                return

    def project(self, named: str | None) -> str:
        """The `tenant/name` of a project, by its name or as the one this key works in. Raises ApiProblem, NoProject."""
        if named and "/" in named:
            return named
        who = self.get("/v1/whoami")
        found = f"{who['tenant']}/{named}" if named and who.get("tenant") else who.get("default_project")
        if named and not who.get("tenant"):
            matching = [one["id"] for one in self.pages("/v1/projects") if one["id"].partition("/")[2] == named]
            found = matching[0] if len(matching) == 1 else None
        if not found:
            raise NoProject(f" by {named}" if named else "")
        return str(found)

    # streams -------------------------------------------------------------------------------------------------------

    @contextmanager
    def stream(self, path: str, /, **query: object) -> Iterator[http.client.HTTPResponse]:
        """A long answer, read as it comes, on a connection of its own. Reading it may raise HTTPException, OSError."""
        connection, answer = self._open("GET", path + _query(query), None, {})
        try:
            yield answer
        finally:
            connection.close()

    def raw(self, path: str, /, **query: object) -> tuple[bytes, Mapping[str, str]]:
        """A short answer that is not JSON, with its headers."""
        answer, body = self._exchange("GET", path + _query(query), None, {}, again=True)
        return body, {name.lower(): value for name, value in answer.getheaders()}

    def changes(self, noun: str, /, **query: object) -> Iterator[Json]:
        """The change stream of a list, one event after another. Raises CloudUnreachable where the connection ends."""
        with self.stream(f"/v1/{noun}:changes", **query) as answer:
            try:
                yield from _events(answer)
            except _LOST as lost:
                raise CloudUnreachable(self.url, _why(lost)) from None
        raise CloudUnreachable(self.url, "the stream ended")

    # the wire ------------------------------------------------------------------------------------------------------

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.credentials.key}", "User-Agent": f"xl/{__version__}"}

    def tls(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cafile=self.credentials.ca) if self._base.scheme == "https" else None

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, object],
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        again: bool = True,
    ) -> Json:
        wanted = {**(headers or {}), **({"Content-Type": "application/json"} if body is not None else {})}
        answer, data = self._exchange(method, path + _query(query), body, wanted, again=again)
        if method == "HEAD" or not data:
            return {}
        try:
            return dict(json.loads(data))
        except ValueError:
            raise NotACloud(self.url, f"it sent {answer.getheader('Content-Type') or 'something'} where JSON was due") from None

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], *, again: bool
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """One request on the kept connection; once more on a new one where that had gone stale, or may be repeated."""
        stale = self._kept is not None
        try:
            answer, data = self._try(method, path, body, headers)
        except _LOST as lost:
            self.close()
            if not (again and stale) or isinstance(lost, TimeoutError | ssl.SSLError):
                raise CloudUnreachable(self.url, _why(lost)) from None
            try:
                answer, data = self._try(method, path, body, headers)
            except _LOST as lost_again:
                self.close()
                raise CloudUnreachable(self.url, _why(lost_again)) from None
        if answer.status >= 400:
            raise self._problem(answer, data)
        return answer, data

    def _try(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        if self._kept is None:
            self._kept = self._connect()
        self._kept.request(method, self._base.path + path, body, {**self.headers(), **headers})
        answer = self._kept.getresponse()
        data = answer.read()
        if answer.will_close:
            self.close()
        return answer, data

    def _open(
        self, method: str, path: str, body: Readable | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """A request on a connection of its own, which the caller closes."""
        connection = self._connect()
        try:
            connection.request(method, self._base.path + path, body, {**self.headers(), **headers})
            answer = connection.getresponse()
            if answer.status >= 400:
                raise self._problem(answer, answer.read())
        except _LOST as lost:
            connection.close()
            raise CloudUnreachable(self.url, _why(lost)) from None
        except XingliuError:
            connection.close()
            raise
        return connection, answer

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._base.hostname or "", self._base.port
        if self._base.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=ANSWER_S, context=self.tls())
        return http.client.HTTPConnection(host, port, timeout=ANSWER_S)

    def _problem(self, answer: http.client.HTTPResponse, data: bytes) -> ApiProblem | NotACloud:
        if "json" in (answer.getheader("Content-Type") or ""):
            return ApiProblem(answer.status, json.loads(data or b"{}"))
        if answer.status == 404 and not data:  # HEAD has no body
            return ApiProblem(404, {"status": 404, "title": "There is nothing there."})
        return NotACloud(self.url, f"it answered with status {answer.status} and no problem document")

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def _events(lines: Iterable[bytes]) -> Iterator[Json]:
    """Server-sent events: `data:` lines up to an empty one."""
    data: list[str] = []
    for line in lines:
        text = line.decode().rstrip("\r\n")
        if text.startswith("data:"):
            data.append(text[5:].lstrip())
        elif not text and data:
            yield json.loads("\n".join(data))
            data = []


def _query(query: Mapping[str, object]) -> str:
    given = {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""


def _why(lost: BaseException) -> str:
    if isinstance(lost, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({lost.verify_message}); trust it with `xl login URL --ca FILE`"
    if isinstance(lost, ConnectionRefusedError):
        return "nothing listens there"
    return str(lost) or type(lost).__name__
