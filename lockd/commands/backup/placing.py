"""Putting a backup in place: on a new card, or over a door that is there.

What is there and differs is never lost: it is refused, or put aside under a name of its own. The
store comes last. Who was removed or disabled in the store that is put aside stays so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from lockd.adapters.store import Store, Vault
from lockd.adapters.store.restoring import clear, none_has_it_open, put_aside
from lockd.adapters.store.turned import taken_away
from lockd.adapters.store.witness import Witness
from lockd.commands.backup.archive import Archive
from lockd.commands.backup.manifest import Item
from lockd.errors import LockdError, StoreError
from lockd.files import (
    acting_for,
    create_private,
    make_folder,
    owner_on_the_way,
    to_disk,
    write_over,
)
from lockd.messages import utc_text
from lockd.paths import SYSTEM_CONFIG, shipped

BESIDE = "before-restore"


@dataclass(slots=True)
class Restored:
    """What a restoration amounts to.

    Attributes:
        people: how many there are now.
        left_out: names of those who were removed here since, and stay so.
        kept_out: names of those who were disabled here since, and stay so.
        aside: where what was there before is now.
        unknown: why it is not known who was removed here, or None.
    """

    people: int = 0
    left_out: list[str] = field(default_factory=list)
    kept_out: list[str] = field(default_factory=list)
    aside: list[Path] = field(default_factory=list)
    unknown: str | None = None


@dataclass(slots=True)
class _Before:
    """The store that is there: whether it is in use, and who must not come back."""

    used: bool = False
    removed: set[str] = field(default_factory=set)
    disabled: set[str] = field(default_factory=set)
    generation: int = 0
    unknown: str | None = None


class Placing:
    """One backup, and the root that it is to be restored below."""

    def __init__(self, archive: Archive, root: Path, *, by: str) -> None:
        """Change nothing yet.

        Args:
            root: `/`, or the folder that a card is mounted at.
            by: who does it, for the audit trail.
        """
        self._archive, self._root, self._by = archive, root, by
        self._items = {one.path: one for one in archive.manifest.files}
        store, key = archive.manifest.item("store"), archive.manifest.item("store key")
        assert store is not None  # noqa: S101  # a manifest has both
        assert key is not None  # noqa: S101
        self._store, self._key = store, key
        self._generation_file = self._below(archive.manifest.generation_file)
        self._made: list[tuple[Path, Item]] = []

    def place(self, item: Item) -> Path:
        """Return where a file goes."""
        return self._below(item.path)

    def _below(self, path: str) -> Path:
        return self._root / path.lstrip("/")

    def restore(self, *, replace: bool, with_removed: bool) -> Restored:
        """Put everything in place.

        Args:
            replace: whether what is there and differs is put aside.
            with_removed: whether those come back, too, who were removed or disabled here since.

        Raises:
            TransferError, StoreError: if the backup cannot be trusted, or something is in the way;
                then nothing was changed.
        """
        try:
            return self._restore(replace=replace, with_removed=with_removed)
        except OSError as error:
            if isinstance(error, LockdError):
                raise
            raise StoreError(f"{error.filename or self._root}: {error.strerror}") from error

    def _restore(self, *, replace: bool, with_removed: bool) -> Restored:
        before = self._before()
        store = self.place(self._store)
        none_has_it_open(store)
        done = Restored(unknown=before.unknown)
        with self._staged() as (staging, contents):
            clashes = [path for path in contents if self._clashes(path, contents[path])]
            if before.used:
                clashes.append(store)
            else:  # of a store that nobody was ever in, the key is of no use either
                clashes = [one for one in clashes if one != self.place(self._key)]
            if clashes and not replace:
                listed = "\n".join(f"  {one}" for one in clashes)
                raise StoreError(
                    f"something else is there, and nothing was changed:\n{listed}\nto put it aside "
                    "and the backup in its place, use --replace"
                )
            generation = self._take_out(staging, before, done, with_removed=with_removed)
            for path, content in contents.items():
                self._put(path, content, done)
            self._put_store(staging, store, done)
            self._put_generation(generation)
        self._give_away()
        return done

    # What is there

    def _before(self) -> _Before:
        """Look at the store that is there."""
        path = self.place(self._store)
        if not (path.exists() or self._generation_file.exists()):
            return _Before()
        keys = [self.place(self._key), Vault.beside(path).key_file]
        problem = ""
        for key in dict.fromkeys(keys):
            vault = Vault(key, may_make=False)
            try:
                known = Witness(self._generation_file, vault).read()
                generation = 0 if known is None else known.generation
                if not path.exists():
                    return _Before(False, *taken_away(None, known), generation)
                with closing(Store.open_read_only(path, vault)) as store:
                    removed, disabled = taken_away(store.database, known)
                    used = bool(store.people.all() or removed)
                    generation = max(generation, store.database.roll.generation())
                    return _Before(used, removed, disabled, generation)
            except StoreError as error:
                problem = problem or str(error)
        return _Before(used=True, unknown=problem)

    def _clashes(self, path: Path, content: bytes) -> bool:
        """Whether something else is where a file goes; what came with lockd may go."""
        return os.path.lexists(path) and not self._is(path, content, _as_shipped(path))

    def _is(self, path: Path, *contents: bytes | None) -> bool:
        with suppress(OSError), acting_for(path.parent):
            return path.is_file() and path.read_bytes() in contents
        return False

    # Putting in place

    @contextmanager
    def _staged(self) -> Iterator[tuple[Path, dict[Path, bytes]]]:
        """Everything that is in the backup: the store beside its place, with its key, whole."""
        store = self.place(self._store)
        staging = store.with_name(store.name + ".restoring")
        key_file = staging.with_name("template-key.restoring")
        contents: dict[Path, bytes] = {}
        try:
            for item in self._archive.manifest.files:
                if item is not self._store:
                    contents[self.place(item)] = self._archive.read(item.bytes)
                    continue
                self._folder(store.parent, item)
                with acting_for(store.parent):
                    clear(staging)
                    create_private(staging)
                    target = staging.open("wb")
                with target:
                    for part in self._archive.pieces(item.bytes):
                        target.write(part)
                    target.flush()
                    os.fsync(target.fileno())
            write_over(key_file, contents[self.place(self._key)])
            with closing(Store.open(staging, Vault(key_file, may_make=False), copy=True)) as opened:
                faults = opened.care.examine()
            if faults:
                listed = "\n".join(f"  {one.text}" for one in faults)
                raise StoreError(
                    f"the backup's store is damaged, and nothing was changed\n{listed}"
                )
            yield staging, contents
        finally:
            with suppress(FileNotFoundError), acting_for(store.parent):
                clear(staging)
                clear(key_file)
            for folder, _ in self._made:
                with suppress(OSError):  # which has something in it, if all went well
                    folder.rmdir()

    def _take_out(
        self, staging: Path, before: _Before, done: Restored, *, with_removed: bool
    ) -> int:
        """Remove and disable whom the store here has; return the generation that it is then."""
        key = Vault(staging.with_name("template-key.restoring"), may_make=False)
        with closing(Store.open(staging, key, copy=True)) as store:
            for one in store.people.all() if not with_removed else ():
                if one.person.id in before.removed:
                    store.people.remove(one.person.name, by=self._by)
                    done.left_out.append(one.person.name)
                elif one.person.id in before.disabled and one.enabled:
                    store.people.set_enabled(one.person.name, False, by=self._by)
                    done.kept_out.append(one.person.name)
            with store.database.transaction():
                store.database.roll.renew(before.generation)
                store.audit.note(self._by, "restore", note="a whole backup")
                store.outbox.begin_anew()
            done.people = len(store.people.all())
            return store.database.roll.generation()

    def _put(self, path: Path, content: bytes, done: Restored) -> None:
        """Write a file, unless it is there; another one is put aside."""
        item = self._items["/" + str(path.relative_to(self._root))]
        self._folder(path.parent, item)
        if os.path.lexists(path):
            if self._is(path, content):
                return
            if not self._is(path, _as_shipped(path)):
                aside = path.with_name(f"{path.name}.{BESIDE}-{_now()}")
                with acting_for(path.parent):
                    path.rename(aside)
                done.aside.append(aside)
        theirs = owner_on_the_way(path.parent) is not None  # then it is theirs as it is
        uid, gid = (-1, -1) if theirs else self._numbers(item)
        write_over(path, content, mode=item.mode, uid=uid, gid=gid)

    def _put_store(self, staging: Path, path: Path, done: Restored) -> None:
        with acting_for(path.parent):
            if path.exists():
                done.aside += put_aside(path, BESIDE)
            if owner_on_the_way(path.parent) is None and os.geteuid() == 0:
                os.chown(staging, *self._numbers(self._store))
            os.replace(staging, path)
            to_disk(path.parent)

    def _put_generation(self, generation: int) -> None:
        """Let the witness know the store, or nobody would be recognised by it."""
        key, file = Vault(self.place(self._key), may_make=False), self._generation_file
        self._folder(file.parent, self._store)
        witness = Witness(file, key)
        if isinstance(witness.read_anyhow(), str):  # of the key that was here before
            witness.begin_anew(generation)
        witness.advance(generation)
        if owner_on_the_way(file.parent) is None and os.geteuid() == 0:
            os.chown(file, *self._numbers(self._store))

    def _folder(self, folder: Path, item: Item) -> None:
        """Make a folder, if it is not there, for whoever owns what goes into it."""
        if not folder.exists():
            make_folder(folder)
            self._made.append((folder, item))

    def _give_away(self) -> None:
        """Let the folders that were made belong to whom their files do."""
        for folder, item in self._made:
            if os.geteuid() == 0 and owner_on_the_way(folder) is None:
                os.chown(folder, *self._numbers(item))
            if item.owner != "lockd" and item.group == "lockd":  # as /etc/lockd
                folder.chmod(0o750)

    def _numbers(self, item: Item) -> tuple[int, int]:
        """Whose a file is to be, by the names of the root; -1 where there is no such name."""
        if os.geteuid() != 0:
            return -1, -1
        found = []
        for name, file in ((item.owner, "passwd"), (item.group, "group")):
            found.append(0 if name == "root" else _number(self._root / "etc" / file, name))
        return found[0], found[1]


def _number(file: Path, name: str) -> int:
    """A user's or a group's number in a file such as /etc/passwd."""
    with suppress(OSError, UnicodeDecodeError, ValueError):
        for line in file.read_text("utf-8").splitlines():
            fields = line.split(":")
            if name and fields[0] == name:
                return int(fields[2])
    return -1


def _as_shipped(path: Path) -> bytes | None:
    """What an installation puts there, of which nothing is lost."""
    if not str(path).endswith(SYSTEM_CONFIG):
        return None
    return shipped("config/lockd.yaml").read_bytes()


def _now() -> str:
    return utc_text(timespec="seconds").replace(":", "")
