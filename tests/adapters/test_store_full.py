"""A store on a disk that is full: somebody's rights can be taken away all the same."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

from lockd.adapters.store import Store, Vault
from lockd.adapters.store.database import DiskFullError
from lockd.adapters.store.reserve import SIZE, Reserve
from lockd.config import StoreSettings
from lockd.errors import StoreError
from lockd.fleet.state import found
from lockd.service.fleet_book import FleetBook
from tests.service.test_fleet_book import joined

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")
MODEL = "f" * 64


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of eight megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", folder],
        check=True,
        capture_output=True,
    )
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def opened(disk: Path, **how: bool) -> Store:
    path = disk / "lockd.db"
    store = Store.open(path, Vault.open(StoreSettings(folder=disk)), timeout_s=1.0, **how)
    store.database.reserve.make()
    return store


def enrol(store: Store, *names: str, templates: int = 20, photograph: bytes | None = None) -> None:
    rng = np.random.default_rng(len(names))
    for name in names:
        faces = rng.normal(size=(templates, 256)).astype(np.float32)
        units = list(faces / np.linalg.norm(faces, axis=1, keepdims=True))
        pictures = [photograph] * templates if photograph else []
        store.people.add(name, MODEL, units, by="root", photographs=pictures)


def enrol_at(disk: Path, *names: str) -> None:
    with closing(opened(disk)) as store:
        enrol(store, *names)


def fill(disk: Path) -> Path:
    """Leave not a byte."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


def names(store: Store) -> dict[str, bool]:
    return {one.person.name: one.enabled for one in store.people.all()}


@pytest.mark.parametrize("gone", [True, False], ids=["removed", "disabled"])
def test_whoever_another_door_removed_or_disabled_is_so_though_the_disk_is_full(
    disk: Path, tmp_path: Path, gone: bool
) -> None:
    (tmp_path / "front").mkdir()
    with closing(opened(tmp_path / "front")) as front, closing(opened(disk)) as back:
        founder = found("front", 1)
        books = FleetBook.begin(front, founder), FleetBook.begin(back, joined(founder, "back"))

        def share() -> None:
            books[1].take([(one.topic, one.message) for one in books[0].sign_changes(1)])

        enrol(front, "Ada")
        share()
        assert names(back) == {"Ada": True}
        fill(disk)
        if gone:
            front.people.remove("Ada", by="root")
        else:
            front.people.set_enabled("Ada", False, by="root")
        share()
        assert names(back) == ({} if gone else {"Ada": False})


@pytest.mark.parametrize("running", [True, False], ids=["service-runs", "nobody-has-it-open"])
def test_somebody_is_disabled_and_somebody_removed_though_the_disk_is_full(
    disk: Path, running: bool
) -> None:
    service = opened(disk)
    enrol(service, "Ada", "Bob", "Cyd")
    if not running:
        service.close()
    filler = fill(disk)
    try:
        with pytest.raises(DiskFullError):
            enrol_at(disk, "Eve", "Eva")
        with closing(opened(disk, revoking=True)) as store:
            store.people.set_enabled("Ada", False, by="root")
        with closing(opened(disk, revoking=True)) as store:
            removal = store.people.remove("Bob", by="root")
        assert removal.verified
        filler.unlink()
        with closing(opened(disk)) as store:
            assert names(store).items() >= {"Ada": False, "Cyd": True}.items()
            assert "Bob" not in names(store)
        assert Reserve(disk / "lockd.db").size() == SIZE
    finally:
        service.close()


def test_what_reads_like_a_lack_of_rights_says_that_the_disk_is_full(disk: Path) -> None:
    opened(disk).close()
    Reserve(disk / "lockd.db").give_up()
    fill(disk)
    with pytest.raises(DiskFullError) as caught:
        opened(disk, revoking=True)
    text = str(caught.value)
    assert "the disk is full" in text
    assert "free some space" in text
    assert "may this user" not in text


def test_who_is_too_much_to_be_deleted_is_disabled_until_there_is_room(disk: Path) -> None:
    with closing(opened(disk)) as store:
        enrol(store, "Ada", templates=20, photograph=os.urandom(100_000))
        store.database.fold_journal()
        filler = fill(disk)
        with pytest.raises(StoreError, match="Ada is a stranger to the door now"):
            store.people.remove("Ada", by="root")
        assert names(store) == {"Ada": False}
        filler.unlink()
        assert store.people.remove("Ada", by="root").verified


def test_the_reserve_is_private_modest_and_made_anew(disk: Path) -> None:
    store = opened(disk)
    file = disk / "lockd.db.reserve"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_blocks * 512 >= file.stat().st_size == SIZE
    filler = fill(disk)
    store.close()
    filler.unlink()
    file.write_bytes(b"")  # as a power cut may leave it
    opened(disk).close()
    assert file.stat().st_size == SIZE
    file.unlink()
    with (disk / "large").open("wb") as large:
        os.posix_fallocate(large.fileno(), 0, 7_900_000)
    opened(disk).close()
    assert not file.exists()  # there is room for other things only
