"""Mail by SMTP: one message a connection, one deadline, a checked certificate, nothing in a header that is not a header."""

import os
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from threading import Timer

from xingliu import __version__
from xingliu.control.errors import DeliveryFailed, DeliveryRefused, MailServerDown
from xingliu.control.ports import Letter
from xingliu.fleet.model import MailServer, MailTls
from xingliu.kernel.addresses import is_address

TIMEOUT_S = 20.0
_PASSWORD_BYTES_MAX = 4096


class SmtpMailer:
    """To be greeted, and then for all the rest, there are `timeout_s` seconds each."""

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s

    def send(self, server: MailServer, to: str, letter: Letter) -> None:
        """Delivered means that the server has taken the message over."""
        message = _composed(server, to, letter)
        with self._session(server) as smtp:
            try:
                _hand_over(smtp, server.sender, to, message)
            except (OSError, smtplib.SMTPException) as error:
                raise DeliveryFailed(to, _plain(error, self._timeout_s)) from error

    @contextmanager
    def _session(self, server: MailServer) -> Iterator[smtplib.SMTP]:
        """A connection that is ready for mail, cut off at the deadline. Raises MailServerDown."""
        where = f"{server.host}:{server.port}"
        try:
            smtp = self._connected(server)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise MailServerDown(where, _plain(error, self._timeout_s)) from error
        deadline = Timer(self._timeout_s, _cut, [smtp])
        deadline.start()
        try:
            try:
                _prepare(smtp, server)
            except (OSError, smtplib.SMTPException, ValueError) as error:
                raise MailServerDown(where, _plain(error, self._timeout_s)) from error
            yield smtp
            with suppress(OSError, smtplib.SMTPException):
                smtp.quit()
        finally:
            deadline.cancel()
            smtp.close()

    def _connected(self, server: MailServer) -> smtplib.SMTP:
        us = server.sender.rpartition("@")[2]
        if server.tls is MailTls.TLS:
            return smtplib.SMTP_SSL(server.host, server.port, us, timeout=self._timeout_s, context=_context(server))
        return smtplib.SMTP(server.host, server.port, us, timeout=self._timeout_s)


def _prepare(smtp: smtplib.SMTP, server: MailServer) -> None:
    if server.tls is MailTls.STARTTLS:
        smtp.starttls(context=_context(server))
    if server.user is not None:
        smtp.login(server.user, _password(server))


def _context(server: MailServer) -> ssl.SSLContext:
    """Checks the certificate and its name, against the given authorities or the system's."""
    try:
        return ssl.create_default_context(cafile=server.ca_file)
    except OSError as error:
        raise ValueError(f"ca_file {server.ca_file} cannot be used: {error.strerror or error}") from error


def _password(server: MailServer) -> str:
    """Read anew each time, so that it can be changed."""
    if server.password_secret is not None:
        found = os.environ.get(server.password_secret)
        if not found:
            raise ValueError(f"the environment variable {server.password_secret} of `xl up` is not set")
        return found
    try:
        with Path(str(server.password_file)).open("rb") as file:
            return file.read(_PASSWORD_BYTES_MAX).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"password_file {server.password_file} cannot be read") from error


def _composed(server: MailServer, to: str, letter: Letter) -> EmailMessage:
    """Raises DeliveryRefused for what can be no header or no address."""
    if not is_address(to) or not is_address(server.sender):
        raise DeliveryRefused(ascii(to), "it is no mail address")
    message = EmailMessage(policy=SMTP)
    try:
        message["From"], message["To"] = server.sender, to
        message["Subject"] = letter.subject
        message["Message-ID"] = letter.message_id
        message["Date"] = format_datetime(datetime.fromtimestamp(letter.at_us // 1_000_000, UTC))
        message["Auto-Submitted"] = "auto-generated"
        message["User-Agent"] = f"xingliu/{__version__}"
    except ValueError as error:
        raise DeliveryRefused(to, "its subject cannot stand in a header") from error
    message.set_content(letter.text)
    return message


def _hand_over(smtp: smtplib.SMTP, sender: str, to: str, message: EmailMessage) -> None:
    """Raises DeliveryRefused where the recipient or the message is refused for good."""
    try:
        smtp.send_message(message, sender, [to])
    except smtplib.SMTPRecipientsRefused as error:
        code, said = error.recipients[to]
        raise (DeliveryRefused if code >= 500 else DeliveryFailed)(to, _said(code, said)) from error
    except smtplib.SMTPDataError as error:
        kind = DeliveryRefused if error.smtp_code >= 500 else DeliveryFailed
        raise kind(to, _said(error.smtp_code, error.smtp_error)) from error


def _cut(smtp: smtplib.SMTP) -> None:
    """End the connection, wherever it stands."""
    with suppress(OSError, AttributeError):
        if smtp.sock is not None:
            smtp.sock.shutdown(socket.SHUT_RDWR)


def _said(code: int, said: bytes | str) -> str:
    """What the server said, on one line of printable letters."""
    text = said.decode("ascii", "replace") if isinstance(said, bytes) else said
    return f"{code} " + "".join(letter if letter.isprintable() else " " for letter in text)[:200]


def _plain(error: Exception, timeout_s: float) -> str:
    match error:
        case smtplib.SMTPAuthenticationError():
            return "it refuses the user or the password"
        case smtplib.SMTPNotSupportedError():
            return str(error)
        case smtplib.SMTPResponseException():
            return _said(error.smtp_code, error.smtp_error)
        case smtplib.SMTPServerDisconnected() | TimeoutError():
            return f"it does not answer within {timeout_s:g} s, or hung up"
        case ConnectionRefusedError():
            return "nothing listens there"
        case socket.gaierror():
            return "its name cannot be looked up"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({error.verify_message}); give its authority's as ca_file"
        case _:
            return str(error) or type(error).__name__
