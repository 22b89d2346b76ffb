"""The store is locked, full, damaged, read-only or gone. Those who are enrolled get in."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from lockd.adapters.store import Store, Vault
from tests.faults.site import KNOWN, NOBODY, Site
from tests.killing import PLACES, killed_after
from tests.patience import eventually

Sites = Callable[..., Site]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """A file system of its own in a folder, with what was in it."""
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,mode=700", "tmpfs", folder)
    try:
        for file in aside.iterdir():
            if file.suffix != ".reserve":
                shutil.copy2(file, folder)
        yield
    finally:
        run("umount", "--lazy", folder)


def put_back(file: Path, content: bytes) -> None:
    """Restore a backup, as its owner would: at once, and without what belongs to the old one."""
    for old in ("-wal", "-shm"):
        file.with_name(file.name + old).unlink(missing_ok=True)
    new = file.with_name("new")
    new.write_bytes(content)
    new.rename(file)


def fill(file: Path) -> None:
    """Write into a file until the disk takes no more."""
    with file.open("wb", buffering=0) as target, suppress(OSError):
        while target.write(bytes(1024)):
            pass


@contextmanager
def overlong_journal(site: Site) -> Iterator[int]:
    """The length of the store's journal, when it is longer by far than any file of the board.

    It is not begun anew as long as there is somebody who reads what is in it.
    """
    journal = site.state / "lockd.db-wal"
    with closing(sqlite3.connect(site.state / "lockd.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM people").fetchall()
        eventually(lambda: site.answers("lock") and journal.stat().st_size > 1 << 19)
        assert max(one.stat().st_size for one in site.board.folder.iterdir()) < 1 << 18
        yield journal.stat().st_size


@contextmanager
def worn_card(folder: Path) -> Iterator[Callable[[], None]]:
    """A real file system, with what was in the folder, which the kernel can be made to distrust."""
    aside, image = folder.with_name("aside"), folder.with_name("card")
    with image.open("wb") as file:
        file.truncate(8 << 20)
    run("mkfs.ext4", "-q", "-F", image)
    loop = subprocess.run(
        ["losetup", "--find", "--show", image], check=True, capture_output=True, text=True
    ).stdout.strip()
    folder.rename(aside)
    folder.mkdir()
    run("mount", "-o", "errors=remount-ro", loop, folder)
    try:
        for file in aside.iterdir():
            shutil.copy2(file, folder)
        yield lambda: Path(f"/sys/fs/ext4/{Path(loop).name}/trigger_fs_error").write_text("1")
    finally:
        run("umount", "--lazy", folder)
        run("losetup", "--detach", loop)


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


def test_locked_by_another_program(site: Site) -> None:
    problem, recovered = site.hear("store_problem"), site.hear("store_recovered")
    with closing(sqlite3.connect(site.state / "lockd.db", isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        site.let_in()  # and the news goes out past the store
        assert "locked" in problem()["reason"]
        writer.execute("ROLLBACK")
    recovered()
    site.let_in()
    site.judge()


@pytest.mark.fault_slow
def test_no_file_may_grow(sites: Sites) -> None:
    """Larger than the journal of the store is now, which every event makes longer."""
    site = sites()
    site.start()
    problem, recovered = site.hear("store_problem"), site.hear("store_recovered")
    limits = resource.prlimit(site.manager.pid, resource.RLIMIT_FSIZE)
    with overlong_journal(site) as length:
        resource.prlimit(site.manager.pid, resource.RLIMIT_FSIZE, (length, limits[1]))
        site.let_in()
        problem()
        resource.prlimit(site.manager.pid, resource.RLIMIT_FSIZE, limits)
    recovered()
    site.let_in()
    site.end()


@pytest.mark.fault_slow
@needs_root
def test_the_disk_is_full(sites: Sites) -> None:
    site = sites()
    with small_disk(site.state, 512):
        site.start()
        site.let_in()
        problem, recovered = site.hear("store_problem"), site.hear("store_recovered")
        filler = site.state / "filler"
        fill(filler)
        site.let_in()
        assert "full" in problem()["reason"]
        filler.unlink()
        recovered()
        site.let_in()
        site.end()


@pytest.mark.fault_slow
@needs_root
def test_somebody_is_disabled_while_the_disk_is_full(sites: Sites) -> None:
    site = sites()
    with small_disk(site.state, 4096):
        site.start()
        site.let_in()
        changed = site.hear("gallery_changed")
        filler = site.state / "filler"
        fill(filler)
        command = [sys.executable, "-m", "enroll", "disable", KNOWN, "--config", site.file]
        run(*command)
        changed()
        site.show(KNOWN)
        site.await_event("stranger")
        assert not site.is_open()
        site.show(NOBODY)
        filler.unlink()
        site.end()


@pytest.mark.fault_slow
@needs_root
def test_the_kernel_turns_the_disk_read_only_while_it_runs(sites: Sites) -> None:
    """As it does when it finds errors on a card: files that are open are not spared."""
    site = sites()
    with worn_card(site.state) as turn_read_only:
        site.start()
        site.let_in()
        problem = site.hear("store_problem")
        turn_read_only()
        site.let_in()
        problem()
        site.turn_away()
        site.judge()
        site.manager.kill(signal.SIGTERM)
        site.await_ready(1)
        site.let_in()
        site.judge()
        site.manager.kill(signal.SIGTERM)
        eventually(lambda: site.manager.count("ended") > 1)


@pytest.mark.fault_slow
@needs_root
def test_read_only_from_the_start(sites: Sites) -> None:
    site = sites()
    with small_disk(site.state, 1024):
        run("mount", "-o", "remount,ro", site.state)
        site.start()
        site.let_in()
        site.end()


@pytest.mark.fault_slow
def test_damaged_at_the_start(sites: Sites) -> None:
    site = sites()
    file = site.state / "lockd.db"
    good, junk = file.read_bytes(), b"junk" * 5000
    file.write_bytes(junk)
    site.manager.start()
    problem, recovered = site.hear("store_problem"), site.hear("store_recovered")
    assert "damaged" in problem()["reason"]
    site.press_exit()  # nobody is known, but everybody can get out
    assert file.read_bytes() == junk
    assert site.manager.count("running") == 0
    put_back(file, good)
    recovered()
    site.let_in()
    site.end()


@pytest.mark.fault_slow
def test_killed_before_a_change_s_generation_is_known(sites: Sites) -> None:
    site = sites()
    file = site.state / "lockd.db"
    with closing(Store.open(file, Vault.beside(file))) as store:
        name = store.people.all()[0].person.name
    for where in PLACES:
        killed_after(file, where, "rename", name, name)
    site.manager.start()
    site.let_in()
    site.end()


@pytest.mark.fault_slow
def test_an_older_copy_is_put_in_its_place(sites: Sites) -> None:
    site = sites()
    file = site.state / "lockd.db"
    vault = Vault.beside(file)
    with closing(Store.open(file, vault)) as store:
        name = store.people.all()[0].person.name
        store.people.set_enabled(name, False, by="root")
        store.people.set_enabled(name, True, by="root")
    older = file.read_bytes()
    with closing(Store.open(file, vault)) as store:
        store.people.set_enabled(name, False, by="root")
    put_back(file, older)
    site.manager.start()
    problem, recovered = site.hear("store_problem"), site.hear("store_recovered")
    assert "an older copy was put in its place" in problem()["reason"]
    site.show(KNOWN)
    site.press_exit()  # nobody is known, but everybody can get out
    site.show(NOBODY)
    assert site.manager.count("running") == 0
    with closing(Store.open(file, vault)) as store:
        store.care.confirm(by="root")
    recovered()
    site.let_in()
    site.end()


@pytest.mark.fault_slow
def test_damaged_while_it_runs(sites: Sites) -> None:
    site = sites()
    site.start()
    file = site.state / "lockd.db"
    good = file.read_bytes()
    with file.open("r+b") as store:
        store.write(os.urandom(len(good)))
    site.let_in()  # people are as they were
    told_anew = site.hear("store_problem")
    site.manager.kill(signal.SIGTERM)
    eventually(lambda: site.manager.count("started") > 1)
    told_anew()
    site.press_exit()
    put_back(file, good)
    site.let_in()
    site.end()


@pytest.mark.fault_slow
def test_deleted_while_it_runs(sites: Sites) -> None:
    site = sites()
    site.start()
    site.judge()  # what only the file has is lost with it
    shutil.rmtree(site.state)
    site.let_in()
    site.turn_away()
    site.judge()
    site.manager.kill(signal.SIGTERM)
    site.await_ready(1)
    # Nobody is enrolled any more, and nobody is let in.
    site.turn_away()
    site.end()
