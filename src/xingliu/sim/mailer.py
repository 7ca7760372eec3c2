"""A mail server that takes, refuses and fails as it is told to."""

from collections import Counter
from dataclasses import dataclass, field

from xingliu.control.errors import DeliveryFailed, DeliveryRefused, MailServerDown
from xingliu.control.ports import Letter
from xingliu.fleet.model import MailServer
from xingliu.kernel.addresses import is_address


@dataclass
class SimMailbox:
    """What arrived, and what goes wrong.

    Attributes:
        heard: (address, Message-ID, subject, text) in order of arrival.
        unknown: addresses it refuses for good.
        busy: how often it puts an address off.
        down: whether it takes nothing at all.
    """

    heard: list[tuple[str, str, str, str]] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    busy: Counter[str] = field(default_factory=Counter)
    down: bool = False


class SimMailer:
    def __init__(self, mailbox: SimMailbox) -> None:
        self._mailbox = mailbox

    def send(self, server: MailServer, to: str, letter: Letter) -> None:
        box = self._mailbox
        if not is_address(to) or not letter.subject.isprintable():
            raise DeliveryRefused(ascii(to), "it cannot stand in a header")
        if box.down:
            raise MailServerDown(f"{server.host}:{server.port}", "nothing listens there")
        if to in box.unknown:
            raise DeliveryRefused(to, "550 no such user")
        if box.busy[to]:
            box.busy[to] -= 1
            raise DeliveryFailed(to, "451 try again later")
        box.heard.append((to, letter.message_id, letter.subject, letter.text))
