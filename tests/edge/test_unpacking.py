"""Archives of a job's folder, however hostile, write below the place that was named and nowhere else."""

import io
import tarfile
from pathlib import Path

from xingliu.cli.unpacking import Copied, unpack


def archive(*members: tuple[str, bytes | str | None]) -> io.BytesIO:
    """Files (bytes), folders (None) and links: text, with `=` before it for a hard one."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w|") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
            elif isinstance(content, str):
                info.type = tarfile.LNKTYPE if content.startswith("=") else tarfile.SYMTYPE
                info.linkname = content.removeprefix("=")
            else:
                info.type = tarfile.DIRTYPE
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    out.seek(0)
    return out


def copied(folder: Path, asked: str, *members: tuple[str, bytes | str | None]) -> Copied:
    with tarfile.open(fileobj=archive(*members), mode="r|") as tar:
        return unpack(tar, asked, folder / "copy")


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_files_folders_and_links_inside_arrive(tmp_path: Path) -> None:
    found = copied(
        tmp_path, "out", ("out", None), ("out/a", b"1"), ("out/b/c", b"22"), ("out/last", "b/c"), ("out/same", "=out/a")
    )
    assert (found.files, found.left_out) == (3, [])
    assert (tmp_path / "copy" / "last").read_bytes() == b"22" and (tmp_path / "copy" / "same").read_bytes() == b"1"


def test_one_file_takes_the_name_it_is_copied_to(tmp_path: Path) -> None:
    assert copied(tmp_path, "deep/last.pt", ("last.pt", b"weights")).bytes == 7
    assert (tmp_path / "copy").read_bytes() == b"weights"


def test_nothing_is_written_outside(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    hostile = [
        ("../mine", b"x"), ("/tmp/xl-never", b"x"), ("out", ".."), ("out/mine", b"x"), ("abs", "/etc"), ("abs/passwd", b"x"),
        ("sub", None), ("sub/up", "../.."), ("sub/up/mine", b"x"), ("hard", "=../mine"), ("file", "ok"), ("file", b"through"),
        ("s", None), ("s/u", "."), ("s/u/v", "../.."), ("s/u/v/mine", b"x"),
    ]  # fmt: skip
    found = copied(tmp_path, ".", *hostile, ("ok", b"good"))
    assert (tmp_path / "mine").read_text() == "precious"
    assert (tmp_path / "copy" / "ok").read_bytes() == b"good"
    assert {name for name in everything(tmp_path) if not name.startswith("copy")} == {"mine"}
    assert {"../mine", "out", "abs", "sub/up", "hard", "file", "s/u/v"} <= set(found.left_out)


def test_what_is_cut_short_is_an_error(tmp_path: Path) -> None:
    whole = archive(("a", b"x" * 5000)).getvalue()
    try:
        with tarfile.open(fileobj=io.BytesIO(whole[:2000]), mode="r|") as tar:
            unpack(tar, ".", tmp_path / "copy")
    except tarfile.TarError:
        return
    raise AssertionError("half a file was taken for a whole one")
