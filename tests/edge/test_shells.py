"""A shell beside a running replica."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.local import ACME_UID, WALLS, LocalCloud, is_alive, launch, local_cloud, until

from xingliu.control.errors import NotRunning
from xingliu.control.ports import Terminal
from xingliu.kernel.ids import LeaseId

LEASE = "j1.main.0.1"


@pytest.fixture
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalCloud]:
    with local_cloud(tmp_path / "home", WALLS[getattr(request, "param", "local")]) as cloud:
        cloud.start(launch(LEASE, "touch mark; echo ready; sleep 1000", environment={"WORD": "the 'word'", "RANK": "0"}))
        cloud.until_log("ready")
        yield cloud


def enter(cloud: LocalCloud, *command: str) -> Terminal:
    return cloud.parts.shells.open(LeaseId(LEASE), uid=ACME_UID, command=command)


def all_of(terminal: Terminal) -> str:
    said = b""
    while data := terminal.read():
        said += data
    return said.decode().replace("\r\n", "\n")


def said_by(cloud: LocalCloud, *command: str) -> tuple[str, int]:
    terminal = enter(cloud, *command)
    return all_of(terminal), terminal.close()


CASES: dict[str, tuple[Sequence[str], str]] = {
    "the same folder": (("sh", "-c", "ls"), "mark\n"),
    "the same environment": (("sh", "-c", 'echo "$WORD $RANK"'), "the 'word' 0\n"),
    "the same processes": (("pgrep", "-x", "sleep"), "2\n"),
    "the same uid, without rights": (("sh", "-c", "id -u; grep CapEff /proc/self/status"), f"{ACME_UID}\nCapEff:\t{0:016x}\n"),
    "a terminal": (("sh", "-c", "test -t 0 && test -t 1 && echo yes"), "yes\n"),
    "words as they are": (("echo", "a  b", "$HOME"), "a  b $HOME\n"),
}


@pytest.mark.parametrize(("command", "expected"), CASES.values(), ids=CASES)
def test_it_has(cloud: LocalCloud, command: Sequence[str], expected: str) -> None:
    assert said_by(cloud, *command) == (expected, 0)


@pytest.mark.parametrize("cloud", ["local as one user", "local without walls"], indirect=True)
def test_with_lower_walls_it_is_still_beside_the_replica(cloud: LocalCloud) -> None:
    assert said_by(cloud, "sh", "-c", 'ls; echo "$WORD"; pgrep -x sleep > /dev/null && echo seen') == (
        "mark\nthe 'word'\nseen\n",
        0,
    )


def test_its_exit_code_is_the_commands(cloud: LocalCloud) -> None:
    assert said_by(cloud, "sh", "-c", "exit 7")[1] == 7


def test_it_is_within_the_replicas_limits(cloud: LocalCloud) -> None:
    _, code = said_by(cloud, "python3", "-c", "x = bytearray(2_000_000_000)")
    assert code == 137
    assert is_alive(cloud.command(LEASE, "sleep 1000"))


def test_what_is_typed_arrives_and_the_size_is_known(cloud: LocalCloud) -> None:
    terminal = enter(cloud)
    terminal.resize(33, 99)
    terminal.write(b"stty size; echo $((40 + 2)); exit 5\n")
    said = all_of(terminal)
    assert terminal.close() == 5
    assert "33 99" in said
    assert "42" in said


def test_closing_it_kills_all_it_started_and_nothing_else(cloud: LocalCloud) -> None:
    terminal = enter(cloud, "bash", "-c", "trap '' HUP TERM; setsid sleep 2345 & sleep 2346")
    until(lambda: said_by(cloud, "pgrep", "-fc", "^sleep 234") == ("2\n", 0), "both running")
    terminal.close()
    assert said_by(cloud, "pgrep", "-fc", "^sleep 234") == ("0\n", 1)
    assert is_alive(cloud.command(LEASE, "sleep 1000"))


def test_the_end_of_the_replica_is_its_end(cloud: LocalCloud) -> None:
    terminal = enter(cloud, "sleep", "3456")
    cloud.desired.clear()
    cloud.ensure()
    all_of(terminal)
    assert terminal.close() != 0
    until(lambda: not (cloud.ensure() or any((cloud.home / "replicas").iterdir())), "the replica being gone")


def test_there_is_none_where_nothing_runs(cloud: LocalCloud) -> None:
    with pytest.raises(NotRunning):
        cloud.parts.shells.open(LeaseId("j9.main.0.1"), uid=ACME_UID, command=())
    cloud.run("true", lease="j2.main.0.1")
    with pytest.raises(NotRunning):
        cloud.parts.shells.open(LeaseId("j2.main.0.1"), uid=ACME_UID, command=())
