"""What root does in somebody else's folder follows none of their links, however they race."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from enroll.cli import main as enroll
from lockd.adapters.store import Store, Vault
from lockd.commands.main import main as lockd
from lockd.files import acting_for, owner_on_the_way, write_over
from tests.fakes import unit
from tests.invoking import invoke

SERVICE = 61234
"""A user whom nobody knows, and who owns the folder."""
SECRET = b"root:$y$j9T$secret\n" * 400
ROUNDS = 12

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be led astray")

# Puts links to a file of root's in the place of files of a folder, and the files back, and
# makes those that are not there, as quickly as it can.
RACING = """
import os, sys
folder, secret, user, *names = sys.argv[1:]
os.setgroups([]); os.setgid(int(user)); os.setuid(int(user)); os.chdir(folder)
print("racing", flush=True)
while True:
    for name in names:
        try:
            os.symlink(secret, ".link")
            if os.path.lexists(name) and not os.path.islink(name):
                os.rename(name, f".kept-{name}")
                os.rename(".link", name)
                os.rename(f".kept-{name}", name)
            else:
                os.rename(".link", name)
                os.unlink(name)
        except OSError:
            pass
        finally:
            try:
                os.unlink(".link")
            except OSError:
                pass
"""


@pytest.fixture
def around() -> Iterator[Path]:
    """A folder that everybody may pass through, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="lockd-links-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def secret(around: Path) -> Path:
    """A file that is root's alone, as large as a page of a store."""
    file = around / "secret"
    file.write_bytes(SECRET)
    file.chmod(0o600)
    return file


@pytest.fixture
def folder(around: Path) -> Path:
    """The service's folder, with a store in it, and the configuration beside it."""
    folder = around / "state"
    folder.mkdir(mode=0o700)
    os.chown(folder, SERVICE, SERVICE)
    (around / "lockd.yaml").write_text("store: {folder: state}\n")
    path = folder / "lockd.db"
    with closing(Store.open(path, Vault.beside(path))) as store:
        store.people.add("Ada", "model", [unit(1, 2)], by="root")
        store.care.backup(folder / "backup.db", by="root")
    return folder


@contextmanager
def racing(folder: Path, secret: Path, *names: str) -> Iterator[None]:
    command = [sys.executable, "-c", RACING, str(folder), str(secret), str(SERVICE), *names]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as racer:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "racing\n"
        try:
            yield
        finally:
            racer.kill()


def assert_untouched(secret: Path, folder: Path) -> None:
    status = secret.stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o600), "it was given away"
    assert secret.read_bytes() == SECRET, "it was written"
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            assert SECRET[:40] not in file.read_bytes(), f"it was copied into {file}"
            assert file.stat().st_uid == SERVICE, f"{file} is root's"


def command_key(folder: Path, config: Path, number: int) -> None:
    for what in ("add", "list", "remove"):
        names = () if what == "list" else (f"anna-{number}",)
        invoke(lockd, "command-key", what, *names, "--config", config)


def remove(folder: Path, config: Path, number: int) -> None:
    path = folder / "lockd.db"
    try:
        with closing(Store.open(path, Vault.beside(path))) as store:
            store.people.add(f"Grace {number}", "model", [unit(3, 4)], by="root")
    except OSError:
        pass
    invoke(enroll, "remove", f"Grace {number}", "--yes", "--config", config)


def look_after(folder: Path, config: Path, number: int) -> None:
    for words in (("check", "--mend"), ("vacuum",), ("audit",), ("events",)):
        invoke(lockd, "store", *words, "--config", config)
    invoke(lockd, "store", "make-key", folder / f"key-{number}")


def copies(folder: Path, config: Path, number: int) -> None:
    invoke(lockd, "store", "backup", folder / f"copy-{number}", "--config", config)
    invoke(lockd, "store", "restore", folder / "backup.db", "--replace", "--config", config)


def files(folder: Path, config: Path, number: int) -> None:
    words = folder.parent / "words"
    words.write_text("correct horse\n")
    out = folder / f"people-{number}"
    invoke(enroll, "export", out, "--passphrase-file", words, "--config", config)
    report = folder / f"report-{number}"
    invoke(enroll, "forget", "Ada", "--report", report, "--yes", "--config", config)


def broker_setup(folder: Path, config: Path, number: int) -> None:
    invoke(lockd, "broker-setup", "--out", folder, "--door", f"d{number}", "--host", "localhost")


STORE = ("lockd.db", "lockd.db-wal", "lockd.db-shm", "lockd.db-journal", "lockd.db.reserve")


RACES = [
    (look_after, (*STORE, "template-key", *(f"key-{number}" for number in range(ROUNDS)))),
    (copies, (*STORE, "lockd.db.restoring", *(f"copy-{one}" for one in range(ROUNDS)))),
    (copies, tuple(f"copy-{one}.unfinished" for one in range(ROUNDS))),
    (files, tuple(f"{one}-{n}" for one in ("people", "report") for n in range(ROUNDS))),
    (broker_setup, ("passwords", "ca.key", "acl", "written.json")),
]


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (command_key, ("command-keys",)),
        (remove, (*STORE, "template-key")),
        *(pytest.param(*race, marks=pytest.mark.thorough) for race in RACES),
    ],
)
def test_a_link_put_there_in_the_midst_of_a_command_leads_it_nowhere(
    command: Callable[[Path, Path, int], None],
    names: tuple[str, ...],
    folder: Path,
    secret: Path,
) -> None:
    with racing(folder, secret, *names):
        for number in range(ROUNDS):
            command(folder, folder.parent / "lockd.yaml", number)
    assert_untouched(secret, folder)


@pytest.mark.parametrize(
    "name",
    [*STORE[1:], "lockd.db.restoring", "lockd.db.restoring-wal", "command-keys", "template-key"],
)
def test_a_link_that_lies_there_leads_no_command_anywhere(
    name: str, folder: Path, secret: Path
) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(secret)
    for command in (command_key, remove, look_after, copies):
        command(folder, folder.parent / "lockd.yaml", 0)
    assert_untouched(secret, folder)


def test_nothing_waits_for_a_pipe_that_lies_in_the_place_of_a_file(folder: Path) -> None:
    for name in ("command-keys", "template-key"):
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
    command_key(folder, folder.parent / "lockd.yaml", 0)
    look_after(folder, folder.parent / "lockd.yaml", 0)


def test_a_key_that_is_roots_is_read_for_a_store_that_is_not(folder: Path) -> None:
    (folder / "template-key").rename(folder.parent / "key")
    os.chown(folder.parent / "key", 0, 0)
    config = folder.parent / "lockd.yaml"
    config.write_text("store: {folder: state, key_file: key}\n")
    assert invoke(lockd, "store", "check", "--config", config).exit_code == 0
    done = invoke(lockd, "store", "restore", folder / "backup.db", "--config", config)
    assert done.exit_code == 0, done.output
    assert invoke(lockd, "store", "backup", folder.parent / "b", "--config", config).exit_code == 0
    assert (folder.parent / "b").stat().st_uid == 0
    assert os.geteuid() == 0


def test_who_decides_where_a_path_leads(around: Path) -> None:
    theirs = around / "theirs"
    theirs.mkdir()
    (theirs / "root").mkdir()
    os.chown(theirs, SERVICE, SERVICE)
    (around / "link").symlink_to(theirs)
    (theirs / "out").symlink_to("/etc")
    (around / "shared").mkdir()
    (around / "shared").chmod(0o777)
    (around / "sticky").mkdir()
    (around / "sticky").chmod(0o1777)
    (around / "sticky" / "planted").symlink_to("/etc")
    os.lchown(around / "sticky" / "planted", SERVICE, SERVICE)
    found = {
        name: owner and owner.uid
        for name in (
            *("", "theirs/new", "theirs/root/x", "link/x", "theirs/out/passwd"),
            *("shared/x", "sticky/x", "sticky/planted/passwd", "sticky/../theirs"),
        )
        for owner in [owner_on_the_way(around / name)]
    }
    assert found == {
        "": None,
        "theirs/new": SERVICE,
        "theirs/root/x": SERVICE,
        "link/x": SERVICE,
        "theirs/out/passwd": SERVICE,
        "shared/x": 65534,
        "sticky/x": None,
        "sticky/planted/passwd": SERVICE,
        "sticky/../theirs": SERVICE,
    }


def test_within_nothing_leads_back_to_root_and_afterwards_root_is_root(folder: Path) -> None:
    with acting_for(folder):
        assert (os.geteuid(), os.getegid(), os.getgroups()) == (SERVICE, SERVICE, [])
        with acting_for(Path("/root/file")):
            assert os.geteuid() == SERVICE
        with pytest.raises(PermissionError):
            write_over(Path("/root/file"), b"")
    assert (os.geteuid(), os.getegid()) == (0, 0)
