"""Notifications to real sockets on loopback."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from xingliu.adapters.postman import WebhookPostman
from xingliu.control.errors import DeliveryFailed


@contextmanager
def serving(status: int, **headers: str) -> Iterator[tuple[str, list[Any]]]:
    """An origin that answers every POST so, and what it got."""
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, self.headers["Content-Type"], self.headers["Host"], json.loads(body)))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def dripping(drip: bytes) -> Iterator[str]:
    """An origin that never finishes its answer."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        plug, _ = listener.accept()
        with plug:
            try:
                while drip:
                    plug.sendall(drip)
                    plug.settimeout(0.05)
                    try:
                        if not plug.recv(65536):
                            return
                    except TimeoutError:
                        pass
                plug.settimeout(30)
                while plug.recv(65536):
                    pass
            except OSError:
                pass

    thread = Thread(target=answer)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        thread.join(30)
        listener.close()


def failure(url: str, *, timeout_s: float = 5) -> str:
    with pytest.raises(DeliveryFailed) as failed:
        WebhookPostman(timeout_s).post(url, {"job": "j1"})
    assert "hush" not in str(failed.value)
    return failed.value.why


def test_a_notification_arrives_whole() -> None:
    with serving(204) as (origin, got):
        WebhookPostman().post(f"{origin}/hook/a?token=1", {"job": "j1", "text": "ß"})
        WebhookPostman().post(origin.replace("127.0.0.1", "localhost"), {})
    host = origin.removeprefix("http://")
    assert got == [
        ("/hook/a?token=1", "application/json", host, {"job": "j1", "text": "ß"}),
        ("/", "application/json", host.replace("127.0.0.1", "localhost"), {}),
    ]


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_an_error_status_is_no_delivery(status: int) -> None:
    with serving(status) as (origin, _):
        assert failure(f"{origin}/hush") == f"it answered with status {status}"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with serving(200) as (other, got), serving(status, Location=other) as (origin, _):
        assert "redirects" in failure(f"{origin}/hush")
    assert got == []


def test_where_nothing_listens_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert failure(f"http://127.0.0.1:{port}/hush") == "nothing listens there"


@pytest.mark.parametrize("drip", [b"", b"x"])
def test_an_answer_that_never_comes_has_a_deadline(drip: bytes) -> None:
    with dripping(drip) as origin:
        assert "no answer within 0.3 s" in failure(f"{origin}/hush", timeout_s=0.3)


def test_a_status_counts_though_the_rest_of_the_answer_never_ends() -> None:
    with dripping(b"HTTP/1.1 200 OK\r\nX: ") as origin:
        WebhookPostman(0.3).post(origin, {})


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/hush",
        "file:///etc/hush",
        "http:///hush",
        "http://[hush",
        "http://127.0.0.1:99999/hush",
        "http://127.0.0.1:1/hush hush",
        "http://127.0.0.1:1/hush\r\nX: y",
        "hush",
        "",
    ],
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    assert failure(url)


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]"])
def test_link_local_addresses_are_refused(host: str) -> None:
    assert failure(f"http://{host}/hush") == "link-local addresses are refused"


def test_tls_is_checked() -> None:
    with serving(200) as (origin, got):
        assert failure(origin.replace("http:", "https:") + "/hush")
    assert got == []
