"""Every mailer delivers, and says what never will be, what may be later, and when nothing can be."""

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from tests.smtp import smtp_server

from xingliu.adapters.mail import SmtpMailer
from xingliu.control.errors import DeliveryFailed, DeliveryRefused, MailServerDown
from xingliu.control.ports import Letter, Mailer
from xingliu.fleet.model import MailServer, MailTls
from xingliu.sim.mailer import SimMailbox, SimMailer

LETTER = Letter("train: failed (acme/nlp)", "Rank 0 exited with 9.\nß\n", "<7.j1@example.org>", 1_700_000_000_000_000)
ADA = "ada@example.org"


@dataclass
class Post:
    """A mailer, the server it is to use, and what arrives there."""

    mailer: Mailer
    server: MailServer
    unknown: set[str]
    busy: Counter[str]
    heard: Callable[[], list[tuple[str, str, str, str]]]
    stop: Callable[[], object]

    def send(self, to: str = ADA, letter: Letter = LETTER) -> None:
        self.mailer.send(self.server, to, letter)


def server_at(port: int) -> MailServer:
    return MailServer("127.0.0.1", "cloud@example.org", MailTls.NONE, port)


@contextmanager
def simulated() -> Iterator[Post]:
    box = SimMailbox()
    yield Post(SimMailer(box), server_at(25), box.unknown, box.busy, lambda: box.heard, lambda: setattr(box, "down", True))


@contextmanager
def smtp() -> Iterator[Post]:
    with smtp_server() as inbox, socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
        taken.close()

        def heard() -> list[tuple[str, str, str, str]]:
            return [(to, mail["Message-ID"], mail["Subject"], text_of(mail)) for to, mail in inbox.heard]

        def stop() -> None:
            post.server = server_at(nobody)

        post = Post(SmtpMailer(5), server_at(inbox.port), inbox.unknown, inbox.busy, heard, stop)
        yield post


def text_of(mail: Any) -> str:
    return str(mail.get_content()).replace("\r\n", "\n")


@pytest.fixture(params=[simulated, smtp], ids=["sim", "smtp"])
def post(request: pytest.FixtureRequest) -> Iterator[Post]:
    with request.param() as found:
        yield found


def test_a_mail_arrives_whole_and_a_repetition_has_the_same_id(post: Post) -> None:
    post.send()
    post.send()
    assert post.heard() == [(ADA, LETTER.message_id, LETTER.subject, LETTER.text)] * 2


def test_an_unknown_recipient_is_refused_for_good_and_others_are_not(post: Post) -> None:
    post.unknown.add(ADA)
    with pytest.raises(DeliveryRefused) as refused:
        post.send()
    assert ADA in str(refused.value) and "550" in refused.value.why
    post.send("bob@example.org")
    assert [to for to, *_ in post.heard()] == ["bob@example.org"]


def test_who_is_put_off_is_delivered_later(post: Post) -> None:
    post.busy[ADA] = 1
    with pytest.raises(DeliveryFailed) as failed:
        post.send()
    assert type(failed.value) is DeliveryFailed and "451" in failed.value.why
    post.send()
    assert len(post.heard()) == 1


def test_a_server_that_is_not_there_is_no_fault_of_the_mail(post: Post) -> None:
    post.stop()
    with pytest.raises(MailServerDown) as down:
        post.send()
    assert down.value.why == "nothing listens there"


@pytest.mark.parametrize("to", ["", "ada", "a@b\r\nRCPT TO:<eve@x>", "a@b, eve@x", "<a@b>"])
def test_what_is_no_address_goes_nowhere(post: Post, to: str) -> None:
    with pytest.raises(DeliveryRefused):
        post.send(to)
    assert post.heard() == []


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_subject_cannot_begin_another_header(post: Post, end: str) -> None:
    with pytest.raises(DeliveryRefused):
        post.send(letter=Letter(f"a{end}Bcc: eve@example.org", "", "<1@x>", 0))
    assert post.heard() == []
