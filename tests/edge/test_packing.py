"""Packing real folders."""

import hashlib
import os
import socket
import tarfile
from pathlib import Path

import pytest

from xingliu.cli import packing
from xingliu.cli.packing import CannotPack, FolderTooLarge, LinkLeadsOut, NoFolder, Packed, find, pack


def packed(root: Path) -> tuple[Packed, bytes]:
    """What was packed, and its bytes; the file is gone."""
    made = pack(root)
    data = made.path.read_bytes()
    made.path.unlink()
    return made, data


def folder(root: Path, *, reverse: bool = False) -> Path:
    """The same content, made in one order or the other."""
    files = {
        "train.py": "print(1)\n",
        "a/b.txt": "b",
        "a/c.txt": "c",
        "\u6d41.txt": "",
        ".git/HEAD": "x",
        "run.sh": "#!/bin/sh\n",
    }
    for name, text in sorted(files.items(), reverse=reverse):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "run.sh").chmod(0o700 if reverse else 0o755)
    (root / "link").symlink_to("a/b.txt")
    return root


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = folder(tmp_path / "one"), folder(tmp_path / "two", reverse=True)
    os.utime(two / "train.py", (1, 1))
    assert packed(one)[1] == packed(two)[1]
    (two / "train.py").write_text("print(2)\n")
    assert packed(one)[1] != packed(two)[1]


def test_what_was_packed_unpacks_to_the_same_files(tmp_path: Path) -> None:
    made, data = packed(folder(tmp_path / "root"))
    assert made.sha256 == hashlib.sha256(data).hexdigest()
    assert made.bytes == len(data)
    (tmp_path / "x.tar.gz").write_bytes(data)
    with tarfile.open(tmp_path / "x.tar.gz") as tar:
        assert tar.getnames() == ["a/b.txt", "a/c.txt", "link", "run.sh", "train.py", "\u6d41.txt"]
        tar.extractall(tmp_path / "out", filter="data")
    assert (tmp_path / "out" / "link").read_text() == "b"
    assert (tmp_path / "out" / "run.sh").stat().st_mode & 0o111
    assert not (tmp_path / "out" / "train.py").stat().st_mode & 0o111


def test_progress_ends_with_all_files(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    pack(folder(tmp_path / "root"), lambda done, total: seen.append((done, total))).path.unlink()
    assert seen == [(number, 6) for number in range(7)]


def test_the_ignore_file_is_heeded(tmp_path: Path) -> None:
    root = folder(tmp_path / "root")
    (root / ".xlignore").write_text("a/\n*.sh\n!.git/\n")
    assert find(root) == [".git/HEAD", ".xlignore", "link", "train.py", "\u6d41.txt"]


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "a/../../outside", "up/../outside"])
def test_a_link_that_leads_out_is_refused(tmp_path: Path, target: str) -> None:
    root = folder(tmp_path / "root")
    (root / "a" / "up").symlink_to("..")
    (root / "up").symlink_to("a/up")
    (root / "evil").symlink_to(target)
    with pytest.raises(LinkLeadsOut) as caught:
        pack(root)
    assert (caught.value.path, caught.value.target) == ("evil", target)


def test_a_folder_reached_by_a_link_is_not_looked_into(tmp_path: Path) -> None:
    root = folder(tmp_path / "root")
    (root / "again").symlink_to(".")
    assert "again" in find(root)
    assert not [name for name in find(root) if name.startswith("again/")]


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    root = folder(tmp_path / "root")
    (root / "loop").symlink_to("loop")
    with pytest.raises(CannotPack, match="back to itself"):
        pack(root)


def test_what_is_too_large_is_refused_with_the_largest_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(tmp_path / "root")
    (root / "weights.pt").write_bytes(os.urandom(300_000))
    monkeypatch.setattr(packing, "PACKED_BYTES_MAX", 100_000)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()
    with pytest.raises(FolderTooLarge, match=r"weights\.pt"):
        pack(root)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_socket_or_a_pipe_stays_behind(tmp_path: Path) -> None:
    root = folder(tmp_path / "root")
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "s"))
        made, data = packed(root)
    (tmp_path / "x.tar.gz").write_bytes(data)
    with tarfile.open(tmp_path / "x.tar.gz") as tar:
        assert {"pipe", "s"}.isdisjoint(tar.getnames())
        assert len(tar.getnames()) == made.files == 6


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    root = folder(tmp_path / "root")
    (Path(os.fsdecode(os.fsencode(root) + b"/\xff"))).write_text("x")
    with pytest.raises(CannotPack, match="not UTF-8"):
        pack(root)


def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoFolder):
        pack(tmp_path / "gone")
