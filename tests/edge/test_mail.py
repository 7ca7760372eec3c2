"""Mail through a real SMTP server: encryption that is checked, a login, and a cloud that dies right after it was heard."""

import os
import signal
import socket
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from tests.edge.living import living_cloud, wait_until
from tests.smtp import self_signed, smtp_server

from xingliu.adapters.mail import SmtpMailer
from xingliu.cli.errors import ApiProblem
from xingliu.control.errors import MailServerDown
from xingliu.control.ports import Letter
from xingliu.fleet.model import MailServer, MailTls

LETTER = Letter("train: failed", "text\n", "<1.j1@example.org>", 10**15)
ADA = "ada@example.org"
SMALL = {"cpu": 0.2, "memory": "64MB"}


def at(port: int, tls: MailTls = MailTls.NONE) -> MailServer:
    return MailServer("127.0.0.1", "cloud@example.org", tls, port)


def why(server: MailServer, *, timeout_s: float = 5) -> str:
    with pytest.raises(MailServerDown) as down:
        SmtpMailer(timeout_s).send(server, ADA, LETTER)
    return down.value.why


def test_a_certificate_nobody_vouches_for_is_refused_unless_it_is_given(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    with smtp_server(certificate) as inbox:
        server = at(inbox.port, MailTls.STARTTLS)
        assert "its certificate is not trusted" in why(server)
        assert "ca_file" in why(replace(server, ca_file=str(tmp_path / "none.pem")))
        assert inbox.heard == []
        SmtpMailer(5).send(replace(server, ca_file=str(certificate[0])), ADA, LETTER)
    assert [to for to, _ in inbox.heard] == [ADA]


def test_a_server_without_starttls_gets_no_mail_in_clear() -> None:
    with smtp_server() as inbox:
        assert "STARTTLS" in why(at(inbox.port, MailTls.STARTTLS))
    assert inbox.heard == []


def test_the_password_comes_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)
    with smtp_server(certificate, password="hush") as inbox:
        server = replace(at(inbox.port, MailTls.STARTTLS), ca_file=str(certificate[0]), user="cloud")
        by_name, by_file = replace(server, password_secret="MAIL_PASSWORD"), replace(server, password_file=str(tmp_path / "p"))
        assert "MAIL_PASSWORD" in why(by_name) and "cannot be read" in why(by_file)
        monkeypatch.setenv("MAIL_PASSWORD", "wrong")
        assert why(by_name) == "it refuses the user or the password"
        monkeypatch.setenv("MAIL_PASSWORD", "hush")
        (tmp_path / "p").write_text("hush\n")
        SmtpMailer(5).send(by_name, ADA, LETTER)
        SmtpMailer(5).send(by_file, ADA, LETTER)
    assert len(inbox.heard) == 2


def test_a_server_that_says_nothing_has_a_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert "does not answer within 0.3 s" in why(at(listener.getsockname()[1]), timeout_s=0.3)


def test_a_server_that_drips_its_greeting_is_cut_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            plug, _ = listener.accept()
            with plug:
                plug.sendall(b"220 hello\r\n")
                plug.settimeout(0.05)
                for _ in range(1000):
                    try:
                        plug.sendall(b"2")
                        plug.recv(100)
                    except TimeoutError:
                        continue
                    except OSError:
                        return

        thread = Thread(target=drip)
        thread.start()
        assert why(replace(at(listener.getsockname()[1]), user="u", password_file="/dev/null"), timeout_s=0.5)
        thread.join(30)


def test_a_job_mails_its_end_also_when_the_cloud_dies_right_after_it_was_heard(tmp_path: Path) -> None:
    with living_cloud(tmp_path / "home") as cloud, smtp_server() as inbox:
        asked = {"name": "told", "resources": SMALL, "run": "exit 9", "notify": {"email": ADA, "events": ["failed"]}}
        with pytest.raises(ApiProblem) as refused:
            cloud.client.post("/v1/jobs", {"document": {"kind": "job", **asked}})
        assert refused.value.status == 422 and "mail: {host: ..., from: ...}" in refused.value.advice()

        document = cloud.client.get("/v1/cloud")
        mail = {"host": "127.0.0.1", "port": inbox.port, "from": "cloud@example.org", "tls": "none"}
        shown = cloud.client.post("/v1/cloud:apply", {"document": {**document, "mail": mail}})["changes"]
        assert any("mail none becomes" in change["sentence"] for change in shown)

        victims: list[int] = []

        def dies() -> None:
            if not victims:
                pid = cloud.control_plane()
                assert pid is not None
                victims.append(pid)
                os.kill(pid, signal.SIGKILL)

        inbox.taken = dies
        job = cloud.submit(**asked)
        wait_until(lambda: len(inbox.heard) >= 2, "the mail is repeated by the next control plane")
        (_, first), (_, second) = inbox.heard[:2]
        assert victims and first["Message-ID"] == second["Message-ID"]
        assert job in first["Message-ID"] and first["Subject"] == "told: failed (default/default)"
        assert "Exit code: 9" in first.get_payload()
