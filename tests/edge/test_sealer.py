"""Secrets under a key file."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xingliu.adapters.sealer import BadKeyFile, FileSealer
from xingliu.control.errors import CannotUnseal

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=TEXT, plain=TEXT)
def test_what_was_sealed_comes_back_also_after_a_restart(tmp_path: Path, name: str, plain: str) -> None:
    sealed = FileSealer(tmp_path / "key").seal(name, plain)
    assert FileSealer(tmp_path / "key").unseal(name, sealed) == plain


def test_sealing_twice_gives_nothing_to_compare(tmp_path: Path) -> None:
    sealer = FileSealer(tmp_path / "key")
    first, second = (sealer.seal("a/b/TOKEN", "hunter2") for _ in range(2))
    assert first != second
    assert b"hunter2" not in first


def test_a_sealed_value_cannot_be_moved_changed_or_read_with_another_key(tmp_path: Path) -> None:
    sealer = FileSealer(tmp_path / "key")
    sealed = sealer.seal("a/b/TOKEN", "hunter2")
    with pytest.raises(CannotUnseal):
        sealer.unseal("a/c/TOKEN", sealed)
    with pytest.raises(CannotUnseal):
        FileSealer(tmp_path / "other").unseal("a/b/TOKEN", sealed)
    for broken in [
        b"",
        sealed[:5],
        sealed[:-1],
        sealed + b"x",
        b"\x02" + sealed[1:],
        *(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))),
    ]:
        with pytest.raises(CannotUnseal):
            sealer.unseal("a/b/TOKEN", broken)


def test_the_key_file_is_for_its_owner_alone_and_nothing_else_is_left(tmp_path: Path) -> None:
    FileSealer(tmp_path / "key")
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_a_key_file_that_others_may_read_or_that_is_damaged_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "key"
    FileSealer(key)
    key.chmod(0o640)
    with pytest.raises(BadKeyFile, match="others may read it"):
        FileSealer(key)
    key.chmod(0o600)
    key.write_bytes(key.read_bytes()[:-1])
    with pytest.raises(BadKeyFile, match="32 bytes"):
        FileSealer(key)


def test_those_who_make_the_key_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        sealers = list(threads.map(lambda _: FileSealer(tmp_path / "key"), range(8)))
    sealed = sealers[0].seal("n", "plain")
    assert {sealer.unseal("n", sealed) for sealer in sealers} == {"plain"}
