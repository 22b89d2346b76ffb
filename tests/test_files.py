"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from lockd.files import write_over


def no_links(*_: object) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted")


@pytest.fixture(params=["disk", "stick"])
def medium(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A medium, with links or without."""
    if request.param == "stick":
        monkeypatch.setattr(os, "link", no_links)
        monkeypatch.setattr(os, "fchmod", no_links)


def test_a_new_file_is_its_owners_alone_and_nothing_else_is_left(
    tmp_path: Path, medium: None
) -> None:
    write_over(tmp_path / "file", b"content", new=True)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"content"]
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_what_is_there_is_never_overwritten_by_a_new_file(tmp_path: Path, medium: None) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "link").symlink_to("elsewhere")
    for name in ("precious", "link"):
        with pytest.raises(FileExistsError):
            write_over(tmp_path / name, b"content", new=True)
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert {file.name for file in tmp_path.iterdir()} == {"precious", "link"}


def test_a_file_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write_over(tmp_path / "file", b"before")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_over(tmp_path / "file", b"after")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"before"]


def test_the_mode_is_what_was_asked_for_whatever_was_there(tmp_path: Path) -> None:
    for mode in (0o640, 0o600, 0o644):
        write_over(tmp_path / "file", b"content", mode=mode)
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode
