"""What released replicas leave is bounded."""

import os
from pathlib import Path

import pytest

from xingliu.adapters.local import released as module
from xingliu.adapters.local.released import Released


@pytest.fixture
def ended(tmp_path: Path) -> Path:
    for number in range(6):
        folder = tmp_path / "ended" / f"j{number}"
        folder.mkdir(parents=True)
        (folder / "log.0").write_bytes(b"x" * 100)
        os.utime(folder, (number, number))
    return tmp_path / "ended"


def left(ended: Path) -> list[str]:
    return sorted(path.name for path in ended.iterdir())


def test_the_newest_are_kept_by_number(ended: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_MAX", 2)
    Released(ended).sweep()
    assert left(ended) == ["j4", "j5"]


def test_the_newest_are_kept_by_size(ended: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES_MAX", 399)
    Released(ended).sweep()
    assert left(ended) == ["j3", "j4", "j5"]


def test_one_that_is_taken_comes_without_its_scratch(ended: Path, tmp_path: Path) -> None:
    folder = tmp_path / "replicas" / "j9"
    (folder / "scratch" / "work").mkdir(parents=True)
    (folder / "record.json").write_text("{}")
    Released(ended).take(folder)
    assert [path.name for path in (ended / "j9").iterdir()] == ["record.json"]
    assert not folder.exists()
