"""`lockd backup` and `lockd restore`: a whole door in one file, and on an empty card again."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result

from enroll import sealed
from lockd.adapters.store import Store, Vault
from lockd.commands.backup import archive
from lockd.commands.backup.manifest import Item, Manifest
from lockd.commands.main import main
from lockd.config import load
from lockd.errors import TransferError
from lockd.paths import shipped
from tests.fakes import post, unit
from tests.invoking import invoke

PASSPHRASE = "correct horse battery"
PHOTOGRAPH = os.urandom(3 << 20)  # more than one piece of the file


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that costs little, as tests make many."""
    monkeypatch.setattr(sealed, "LOG_N", 10)


class Door:
    """A door in a folder, and its backup."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "etc" / "lockd.yaml"
        self.state = folder / "state"
        self.file = folder / "door.backup"
        self.words = folder / "passphrase"
        self.words.write_text(f"{PASSPHRASE}\n")
        self.config.parent.mkdir()
        self.config.write_text(
            "store: {folder: ../state}\n"
            "mqtt: {host: broker.lan, username: door, password_file: password,"
            " tls: {ca_file: ca.pem}}\n"
        )
        (folder / "etc" / "password").write_text("secret\n")
        (folder / "etc" / "password").chmod(0o600)
        (folder / "etc" / "ca.pem").write_text("certificate\n")
        with self.opened() as store:
            for degrees, name in enumerate(("Ada", "Bob", "Eve")):
                pictures = [PHOTOGRAPH] if name == "Ada" else []
                store.people.add(name, "m", [unit(1, degrees)], by="root", photographs=pictures)
            post(store, {"utc": "2026-11-20T08:00:00.000Z", "type": "stranger"}, "t", kept=True)
        keys = self.state / "command-keys"
        keys.write_text(f"anna {'0' * 64}\n")
        keys.chmod(0o600)

    def opened(self, below: Path = Path("/")) -> closing[Store]:
        path = below / str(self.state / "lockd.db").lstrip("/")
        return closing(Store.open(path, Vault.beside(path)))

    def back_up(self) -> Result:
        words = "--passphrase-file", self.words
        return invoke(main, "backup", self.file, "--config", self.config, *words)

    def restore(self, *options: object) -> Result:
        words = "--passphrase-file", self.words
        return invoke(main, "restore", self.file, *words, *options)

    def files(self) -> list[Path]:
        state = (self.state / name for name in ("template-key", "command-keys"))
        return [*sorted(self.config.parent.iterdir()), *state]


@pytest.fixture
def door(tmp_path: Path) -> Door:
    (tmp_path / "door").mkdir()
    door = Door(tmp_path / "door")
    assert door.back_up().exit_code == 0
    return door


@pytest.fixture
def card(tmp_path: Path) -> Path:
    (tmp_path / "card").mkdir()
    return tmp_path / "card"


def names(store: Store) -> list[str]:
    return [one.person.name for one in store.people.all() if one.enabled]


def everything(folder: Path) -> dict[str, bytes]:
    """What is in the files of a folder, but for what SQLite makes while it reads."""
    files = [one for one in sorted(folder.rglob("*")) if one.is_file()]
    return {str(one): one.read_bytes() for one in files if not one.name.endswith(("-wal", "-shm"))}


# There and back


def test_a_door_moves_to_an_empty_card_in_one_step(door: Door, card: Path) -> None:
    result = door.restore("--root", card)
    assert result.exit_code == 0, result.output
    assert "people: 3" in result.stdout
    for file in door.files():
        there = card / str(file).lstrip("/")
        assert there.read_bytes() == file.read_bytes()
        assert stat.S_IMODE(there.stat().st_mode) == stat.S_IMODE(file.stat().st_mode)
    with door.opened(card) as store:
        assert names(store) == ["Ada", "Bob", "Eve"]
        assert list(store.templates.photographs("Ada").values()) == [PHOTOGRAPH]
        assert [one["type"] for one in store.events.latest()] == ["stranger"]
        assert store.outbox.waiting(0, 9) == [], "delivered long ago"
        assert store.care.examine() == []
        assert store.audit.latest(1)[0].action == "restore"
        left = sorted(one.name for one in store.path.parent.iterdir())
    store = "lockd.db"
    sides = [store, f"{store}-shm", f"{store}-wal", f"{store}.generation"]
    assert left == ["command-keys", *sides, "template-key"]
    settings = load(card / str(door.config).lstrip("/"))
    assert settings.mqtt.username == "door"


def test_what_is_restored_is_later_than_all_that_was_known(door: Door) -> None:
    with door.opened() as store:
        store.people.remove("Bob", by="root")
        before = store.database.roll.generation()
    (door.state / "lockd.db").rename(door.state / "gone")
    result = door.restore("--replace")
    assert result.exit_code == 0, result.output
    assert "Bob was removed here since" in result.stderr, "the store is gone, but it is known"
    with door.opened() as store:
        assert names(store) == ["Ada", "Eve"]
        assert store.database.roll.generation() > before
        assert store.care.examine() == []


def test_the_file_is_private_and_says_nothing_without_the_passphrase(door: Door) -> None:
    assert stat.S_IMODE(door.file.stat().st_mode) == 0o600
    content = door.file.read_bytes()
    for part in (b"broker.lan", b"SQLite format", b"password_file", PHOTOGRAPH[:64]):
        assert part not in content
    door.words.write_text("another passphrase\n")
    result = door.restore()
    assert (result.exit_code, "the passphrase is another one" in result.stderr) == (13, True)


def test_whoever_is_removed_is_told_of_the_backup(door: Door) -> None:
    with door.opened() as store:
        assert store.people.remove("Eve", by="root").backups == [door.file]


def test_nothing_is_overwritten_and_what_is_missing_is_told(door: Door) -> None:
    before = door.file.read_bytes()
    result = door.back_up()
    assert (result.exit_code, "is there already" in result.stderr) == (13, True)
    assert door.file.read_bytes() == before
    door.file.unlink()
    (door.config.parent / "ca.pem").unlink()
    assert "ca.pem is not there" in door.back_up().stderr
    assert sorted(one.name for one in door.folder.iterdir() if "backup" in one.name) == [
        "door.backup"
    ]
    door.words.write_text("short\n")
    door.file.unlink()
    assert "use at least 10" in door.back_up().stderr
    assert [one.name for one in door.folder.iterdir() if "backup" in one.name] == []
    assert [one.name for one in door.state.iterdir() if "copied" in one.name] == []


# Over a door that is there


def test_a_door_in_use_is_left_alone_unless_told_otherwise(door: Door) -> None:
    (door.config.parent / "password").write_text("new secret\n")
    before = everything(door.folder)
    result = door.restore()
    assert result.exit_code == 5
    assert "nothing was changed" in result.stderr
    for path in (door.config.parent / "password", door.state / "lockd.db"):
        assert str(path) in result.stderr
    assert str(door.config) not in result.stderr, "that is the same"
    assert everything(door.folder) == before


def test_who_was_removed_or_disabled_since_does_not_come_back(door: Door) -> None:
    with door.opened() as store:
        store.people.remove("Eve", by="root")
        store.people.set_enabled("Bob", False, by="root")
        store.people.add("Zoë", "m", [unit(7)], by="root")
    result = door.restore("--replace")
    assert result.exit_code == 0, result.output
    assert "Eve was removed here since, and stays so" in result.stderr
    assert "Bob was disabled here since, and stays so" in result.stderr
    with door.opened() as store:
        assert names(store) == ["Ada"]
        assert store.people.find("Bob") is not None
        assert store.care.examine() == []
    (aside,) = door.state.glob("lockd.db.before-restore-*Z")
    with closing(Store.open(aside, Vault.beside(door.state / "lockd.db"))) as store:
        assert names(store) == ["Ada", "Zoë"]
    assert "take away again" in result.stderr


def test_they_come_back_if_that_is_asked_for(door: Door) -> None:
    with door.opened() as store:
        store.people.remove("Eve", by="root")
        store.people.set_enabled("Bob", False, by="root")
    assert door.restore("--replace", "--with-removed").exit_code == 0
    with door.opened() as store:
        assert names(store) == ["Ada", "Bob", "Eve"]


def test_what_differs_is_put_aside_and_not_lost(door: Door) -> None:
    password = door.config.parent / "password"
    password.write_text("new secret\n")
    assert door.restore("--replace").exit_code == 0
    assert password.read_text() == "secret\n"
    (aside,) = door.config.parent.glob("password.before-restore-*")
    assert aside.read_text() == "new secret\n"
    (door.folder / "door.backup").unlink()
    assert "before-restore" not in door.back_up().stdout


def test_a_store_that_nobody_was_ever_in_gives_way_with_its_key(door: Door, card: Path) -> None:
    with door.opened(card) as store:
        post(store, {"utc": "2026-11-20T08:00:00.000Z", "type": "service_started"}, kept=True)
    result = door.restore("--root", card)
    assert result.exit_code == 0, result.output
    with door.opened(card) as store:
        assert names(store) == ["Ada", "Bob", "Eve"]


def test_one_that_somebody_was_removed_from_does_not(door: Door, card: Path) -> None:
    with door.opened(card) as store:
        store.people.add("Eve", "m", [unit(1)], by="root")
        store.people.remove("Eve", by="root")
    assert door.restore("--root", card).exit_code == 5


def test_a_store_that_cannot_be_read_is_put_aside_only_with_a_word_on_it(door: Door) -> None:
    (door.state / "lockd.db").write_bytes(b"spoilt" * 999)
    assert door.restore().exit_code == 5
    result = door.restore("--replace")
    assert result.exit_code == 0, result.output
    assert "it is not known who was removed here since" in result.stderr.replace("\n", " ")


def test_a_store_that_is_open_is_not_replaced(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path] = []

    def somebody(path: Path) -> None:
        seen.append(path)
        raise TransferError("process 7 has it open")

    monkeypatch.setattr("lockd.commands.backup.placing.none_has_it_open", somebody)
    before = everything(door.folder)
    assert door.restore("--replace").exit_code == 13
    assert (seen, everything(door.folder)) == ([door.state / "lockd.db"], before)


def test_the_configuration_that_an_installation_brings_gives_way(
    tmp_path: Path, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("contents", "command", "placing"):
        path = f"lockd.commands.backup.{name}.SYSTEM_CONFIG"
        monkeypatch.setattr(path, str(tmp_path / "door/etc/lockd.yaml"))
    monkeypatch.setattr("lockd.commands.backup.contents.DROP_INS", str(tmp_path / "drop-ins"))
    (tmp_path / "drop-ins").mkdir()
    (tmp_path / "drop-ins/own.conf").write_text("[Service]\n")
    (tmp_path / "door").mkdir()
    door = Door(tmp_path / "door")
    (door.config.parent / "more").mkdir()
    (door.config.parent / "more" / "own.txt").write_text("anything")
    (door.config.parent / "link").symlink_to("/etc/passwd")
    assert "link is left out" in door.back_up().stderr
    there = card / str(door.config).lstrip("/")
    there.parent.mkdir(parents=True)
    there.write_bytes(shipped("config/lockd.yaml").read_bytes())
    result = door.restore("--root", card)
    assert result.exit_code == 0, result.output
    assert there.read_bytes() == door.config.read_bytes()
    assert not list(card.rglob("*.before-restore-*"))
    assert (there.parent / "more/own.txt").read_text() == "anything"
    assert (card / str(tmp_path).lstrip("/") / "drop-ins/own.conf").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_on_a_card_files_belong_to_whom_the_card_calls_so(card: Path) -> None:
    """What is the service's becomes that of the card's user `lockd`, not of this machine's."""
    door = manifest(
        [item("/state/template-key", "store key"), item("/state/lockd.db", "store"),
         item("/etc/lockd/password", "secret", owner="root", mode=0o640)],
    )  # fmt: skip
    source = card / "source"
    with closing(Store.open(source / "lockd.db", Vault.beside(source / "lockd.db"))):
        pass
    parts = [
        *((source / name).read_bytes() for name in ("template-key", "lockd.db")),
        b"secret",
    ]
    files = [
        one.model_copy(update={"bytes": len(content)})
        for one, content in zip(door.files, parts, strict=True)
    ]
    backup = card / "door.backup"
    with backup.open("wb") as file:
        archive.write(file, PASSPHRASE, door.model_copy(update={"files": files}), parts)
    root = card / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0::/:\nlockd:x:4711:4712::/:\n")
    (root / "etc/group").write_text("lockd:x:4712:\n")
    words = card / "words"
    words.write_text(PASSPHRASE)
    result = invoke(main, "restore", backup, "--root", root, "--passphrase-file", words)
    assert result.exit_code == 0, result.output
    assert {
        str(one.relative_to(root)): (one.stat().st_uid, one.stat().st_gid, oct(one.stat().st_mode))
        for one in [*(root / "state").rglob("*"), root / "state", root / "etc/lockd",
                    root / "etc/lockd/password"]
    } == {
        "state": (4711, 4712, "0o40700"),
        "state/known": (4711, 4712, "0o100600"),
        "state/lockd.db": (4711, 4712, "0o100600"),
        "state/template-key": (4711, 4712, "0o100600"),
        "etc/lockd": (0, 4712, "0o40750"),
        "etc/lockd/password": (0, 4712, "0o100640"),
    }  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has more rights than the service")
def test_links_of_the_services_user_lead_root_nowhere(door: Door) -> None:
    """Root puts back what is in the service's folder, where its user planted what it could."""
    theirs = 4711
    secret = door.folder.parent / "secret"
    secret.write_text("root's")
    secret.chmod(0o600)
    for folder in (*door.state.parents[:-2], door.state):
        folder.chmod(0o755)
    for one in [door.state, *door.state.iterdir()]:
        os.chown(one, theirs, theirs)
    for name in ("lockd.db.restoring", "template-key.restoring"):
        (door.state / name).symlink_to(secret)
    (door.state / "command-keys").unlink()
    (door.state / "command-keys").symlink_to(secret)
    result = door.restore("--replace")
    assert result.exit_code == 0, result.output
    assert secret.read_text() == "root's"
    assert secret.stat().st_uid == 0
    assert (door.state / "command-keys").read_text() == f"anna {'0' * 64}\n"
    planted = {one for one in door.state.iterdir() if one.is_symlink()}
    assert {one.name[:27] for one in planted} == {"command-keys.before-restore"}
    assert {one.lstat().st_uid for one in {*door.state.iterdir()} - planted} == {theirs}
    (door.state / "command-keys").unlink()
    (door.state / "command-keys").symlink_to(secret)
    door.file.unlink()
    result = door.back_up()
    assert (result.exit_code, "cannot be backed up" in result.stderr) == (5, True)


def item(path: str, role: str, *, owner: str = "lockd", mode: int = 0o600, size: int = 0) -> Item:
    values = {"path": path, "role": role, "owner": owner, "group": "lockd", "mode": mode}
    return Item.model_validate({**values, "bytes": size})


def manifest(files: list[Item]) -> Manifest:
    return Manifest(
        format=1, made_utc="", version="", door="d", generation_file="/state/known", files=files
    )


class Machine:
    """A machine whose service runs, and what is done to it."""

    def __init__(self, *_: object, **__: object) -> None:
        self.ran = RAN

    def asks(self, *command: str) -> str:
        assert command == ("systemctl", "is-active", "lockd.service")
        return "active"

    def run(self, *command: str) -> None:
        self.ran.append(command[1])


RAN: list[str] = []


@pytest.mark.parametrize("fails", [False, True])
def test_the_service_is_stopped_meanwhile_and_runs_again_in_any_case(
    door: Door, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    RAN.clear()
    file = door.folder / "lockd.service"
    file.touch()
    monkeypatch.setattr("lockd.commands.backup.command.SYSTEM_CONFIG", str(door.config))
    monkeypatch.setattr("lockd.commands.backup.command.UNIT_FILE", str(file))
    monkeypatch.setattr("lockd.commands.backup.command.System", Machine)
    fitted = "lockd.commands.backup.command.steps.fit"
    monkeypatch.setattr(fitted, lambda system: system.run("", "fit"))
    with door.opened() as store:
        store.people.add("Zoë", "m", [unit(7)], by="root")
    result = door.restore(*([] if fails else ["--replace"]))
    assert (result.exit_code, RAN) == (
        (5, ["stop", "start"]) if fails else (0, ["stop", "fit", "start"])
    )


# What is in the file


@pytest.fixture
def content(door: Door) -> bytes:
    return door.file.read_bytes()


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (lambda content: content[:-1], "altered or cut short"),
        (lambda content: content[: 33 + (1 << 20) + 16], "altered or cut short"),
        (lambda content: content[:40], "cut short"),
        (lambda content: content + b"x", "altered or cut short"),
        (lambda content: content[:20] + bytes([content[20] ^ 1]) + content[21:], "passphrase"),
        (lambda content: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:], "altered"),
        (lambda content: b"lockd people\n" + content[13:], "not a file that `lockd backup` wrote"),
        (lambda content: content[:13] + b"\x09" + content[14:], "version 9, this lockd reads 1"),
        (lambda content: content[:14] + b"\x1f" + content[15:], "cost too much"),
        (lambda content: b"", "not a file"),
    ],
    ids=["a byte short", "a piece short", "nothing left", "a byte more", "another salt", "altered",
         "another kind", "another version", "a dear key", "empty"],
)  # fmt: skip
def test_a_file_that_is_not_what_was_written_changes_nothing(
    door: Door, content: bytes, card: Path, alter: Callable[[bytes], bytes], said: str
) -> None:
    door.file.write_bytes(alter(content))
    result = door.restore("--root", card)
    assert (result.exit_code, said in result.stderr) == (13, True), result.stderr
    assert list(card.iterdir()) == []


def test_pieces_that_are_exchanged_are_noticed(door: Door, content: bytes, card: Path) -> None:
    head, size = 33, (1 << 20) + 16
    pieces = [content[head + at : head + at + size] for at in range(0, len(content) - head, size)]
    assert len(pieces) > 3
    pieces[1], pieces[2] = pieces[2], pieces[1]
    door.file.write_bytes(content[:head] + b"".join(pieces))
    assert "altered" in door.restore("--root", card).stderr


@pytest.mark.parametrize(
    "path",
    ["etc/passwd", "/etc/../etc/passwd", "//etc/x", "/etc/./x", "/", "/etc/", "/a\nb", "/a\0b", ""],
)
def test_no_path_leads_out_of_the_root(path: str) -> None:
    with pytest.raises(ValueError, match="no absolute path"):
        item(path, "other")


@pytest.mark.parametrize(
    "files",
    [
        [item("/a", "store")],
        [item("/a", "store"), item("/b", "store key"), item("/c", "store")],
        [item("/a", "store"), item("/a", "store key")],
        [
            *(item("/a", "store"), item("/b", "store key")),
            *(item("/c", "configuration"), item("/d", "configuration")),
        ],
    ],
)
def test_a_list_that_makes_no_sense_is_refused(files: list[Item], tmp_path: Path) -> None:
    values = {**dict(manifest([item("/a", "store"), item("/b", "store key")])), "files": files}
    with (tmp_path / "backup").open("wb") as file:
        archive.write(file, PASSPHRASE, Manifest.model_construct(**values), [])
    with (
        pytest.raises(TransferError, match=r"not one store|same file twice"),
        archive.opened(tmp_path / "backup", PASSPHRASE),
    ):
        pass


@pytest.mark.parametrize("pieces", [1, 2, 3])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_contents_that_end_where_a_piece_does_come_back(
    pieces: int, more: int, tmp_path: Path
) -> None:
    def listed(size: int) -> Manifest:
        files = [item("/a", "store", size=size), item("/b", "store key", size=0)]
        return Manifest(
            format=1, made_utc="", version="", door="d", generation_file="/g", files=files
        )

    length = pieces * archive.PIECE + more
    length -= 4 + len(listed(length).model_dump_json())
    content = os.urandom(length)
    path = tmp_path / "backup"
    with path.open("wb") as file:
        archive.write(file, PASSPHRASE, listed(length), [content[:7], content[7:]])
    with archive.opened(path, PASSPHRASE) as opened:
        assert b"".join(opened.pieces(length)) == content
        opened.finish()
        with pytest.raises(TransferError, match="cut short"):
            opened.read(1)


def test_more_than_is_listed_is_refused(tmp_path: Path) -> None:
    files = [item("/a", "store", size=1), item("/b", "store key", size=1)]
    listed = Manifest(
        format=1, made_utc="", version="", door="d", generation_file="/g", files=files
    )
    with (tmp_path / "backup").open("wb") as file:
        archive.write(file, PASSPHRASE, listed, [b"123"])
    with (
        pytest.raises(TransferError, match="more is in it than it lists"),
        archive.opened(tmp_path / "backup", PASSPHRASE),
    ):
        pass
