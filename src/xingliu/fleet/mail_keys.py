"""The keys of the mail server in an operator file, as data. No secret stands in that file, only where one is found."""

from collections.abc import Mapping

from xingliu.fleet.model import MailServer, MailTls
from xingliu.kernel.addresses import ADDRESS
from xingliu.kernel.keytables import Bad, Entry, Key, Table
from xingliu.kernel.shapes import choice, text, whole

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PORTS = {MailTls.NONE: 25, MailTls.STARTTLS: 587, MailTls.TLS: 465}
_FILE = text(r"/[ -~]{0,1022}[!-~]", "a path from the root", "Write all of it, such as /etc/xingliu/mail.pass.", length_max=1024)


def _make(host: str, sender: str, tls: MailTls = MailTls.STARTTLS, port: int | None = None, **more: str) -> MailServer:
    return MailServer(host, sender, tls, _PORTS[tls] if port is None else port, **more)


def _check(entry: Entry, read: Mapping[str, object]) -> None:
    """A user has one password, and it never travels in clear."""
    before = len(entry.problems)
    passwords = [key for key in ("password_secret", "password_file") if key in read]
    if len(passwords) > 1:
        entry.note("the password is said to be at two places", "Keep one of them.", step="password_file")
    if ("user" in read) != bool(passwords):
        entry.note("user and password belong together", "Give both: user, and password_secret or password_file; or neither.")
    if "user" in read and read.get("tls") is MailTls.NONE and read["host"] not in LOOPBACK:
        entry.note("with tls: none the password would travel in clear", "Write tls: starttls or tls: tls.", step="tls")
    if len(entry.problems) > before:
        raise Bad


MAIL = Table(
    keys=(
        Key(
            "host",
            text(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,252}[A-Za-z0-9])?|::1", "a host", "Write its name or address.", length_max=254),
            "The SMTP server.",
            required=True,
        ),
        Key("port", whole(1, 65_535), "Its port; default 587 for starttls, 465 for tls, 25 for none."),
        Key("from", ADDRESS, "Who the mail is from.", "sender", required=True),
        Key("tls", choice(MailTls), "none, starttls or tls; default starttls. The certificate is always checked."),
        Key("ca_file", _FILE, "Certificates to trust instead of the system's, on the control plane's machine."),
        Key("user", text(r"[!-~]{1,256}", "a user of the mail server", length_max=256), "Whom to log in as; default nobody."),
        Key(
            "password_secret",
            text(r"[A-Za-z_][A-Za-z0-9_]{0,127}", "a variable's name", "Never the password itself.", length_max=128),
            "The environment variable of `xl up` that holds the password.",
        ),
        Key("password_file", _FILE, "The file on the control plane's machine that holds the password."),
    ),
    make=_make,
    check=_check,
    elsewhere={"server": "host", "smtp": "host", "username": "user", "sender": "from", "password": "password_file"},
)
