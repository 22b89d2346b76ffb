"""The key, and what is sealed with it."""

from __future__ import annotations

import functools
import sqlite3
import stat
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockd.adapters.store import Store, Vault, make_key
from lockd.adapters.store.vault import OVERHEAD, SealError, read_key
from lockd.config import StoreSettings
from lockd.errors import StoreError
from lockd.vision.space import Space
from tests.fakes import unit

MODEL = "fingerprint"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "lockd.db"


def enrolled(path: Path) -> None:
    store = Store.open(path, Vault.beside(path))
    store.people.add("Ada", MODEL, [unit(1)], by="root")
    store.people.add("Grace", MODEL, [unit(0, 1)], by="root")
    store.close()


@functools.cache
def keyed() -> Vault:
    vault = Vault(Path(tempfile.mkdtemp()) / "template-key", may_make=True)
    vault.need_key(for_the_first_time=True)
    return vault


@settings(max_examples=30)
@given(st.binary(max_size=200), st.lists(st.text(max_size=5), max_size=3))
def test_what_is_sealed_opens_for_its_purpose_alone(plain: bytes, purpose: list[str]) -> None:
    vault = keyed()
    sealed = vault.seal(plain, *purpose)
    assert len(sealed) == len(plain) + OVERHEAD
    assert vault.unseal(sealed, *purpose) == plain
    for other in ([*purpose, ""], ["".join(purpose), "x"], purpose[1:] or ["y"]):
        with pytest.raises(SealError):
            vault.unseal(sealed, *other)
    for spoilt in (sealed[:-1], sealed[1:], b"", sealed[:-1] + bytes([sealed[-1] ^ 1])):
        with pytest.raises(SealError):
            vault.unseal(spoilt, *purpose)


def test_the_same_is_never_sealed_alike() -> None:
    vault = keyed()
    assert len({vault.seal(b"the same", "purpose")[:12] for _ in range(1000)}) == 1000


class TestKeys:
    def test_one_is_made_on_first_use_for_its_owner_alone(self, path: Path) -> None:
        enrolled(path)
        key = path.with_name("template-key")
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert len(read_key(key) or b"") == 32
        assert [file.name for file in path.parent.glob("*.unfinished")] == []

    def test_one_that_is_there_is_never_overwritten(self, tmp_path: Path) -> None:
        key = tmp_path / "key"
        assert make_key(key)
        before = key.read_bytes()
        assert not make_key(key)
        assert key.read_bytes() == before

    def test_a_lost_one_is_told_and_no_other_made(self, path: Path) -> None:
        enrolled(path)
        key = path.with_name("template-key")
        away = key.rename(path.with_name("away"))
        before = path.read_bytes()
        for opener in (Store.open, Store.open_read_only):
            with pytest.raises(StoreError, match="the key is gone"):
                opener(path, Vault.beside(path))
        assert not key.exists()
        assert path.read_bytes() == before
        away.rename(key)
        Store.open(path, Vault.beside(path)).close()

    def test_a_wrong_one_is_told_and_nothing_is_changed(self, path: Path) -> None:
        enrolled(path)
        before = path.read_bytes()
        key = path.with_name("template-key")
        key.unlink()
        make_key(key)
        for opener in (Store.open, Store.open_read_only):
            with pytest.raises(StoreError, match="another key"):
                opener(path, Vault.beside(path))
        assert path.read_bytes() == before

    @pytest.mark.parametrize("content", ["", "no key", "ab" * 31, "ab" * 33, "zz" * 32, "ä" * 64])
    def test_what_is_no_key_is_told(self, path: Path, content: str) -> None:
        enrolled(path)
        path.with_name("template-key").write_text(content)
        with pytest.raises(StoreError, match="not a key"):
            Store.open(path, Vault.beside(path))

    def test_the_credential_comes_first_then_the_setting(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        named = tmp_path / "named"
        settings = StoreSettings(folder=tmp_path, key_file=named)
        assert Vault.open(settings).key_file == named
        credentials = tmp_path / "credentials"
        credentials.mkdir()
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
        assert Vault.open(settings).key_file == named, "the unit has other credentials"
        make_key(credentials / "template-key")
        assert Vault.open(settings).key_file == credentials / "template-key"
        assert Vault.open(StoreSettings(folder=tmp_path)).key_file.parent == credentials

    def test_one_that_is_named_is_never_made_by_itself(self, tmp_path: Path) -> None:
        settings = StoreSettings(folder=tmp_path / "state", key_file=tmp_path / "stick" / "key")
        with pytest.raises(StoreError, match="make-key"):
            Store.open(settings.path(), Vault.open(settings))
        (tmp_path / "stick").mkdir()
        make_key(tmp_path / "stick" / "key")
        Store.open(settings.path(), Vault.open(settings)).close()
        assert not (tmp_path / "state" / "template-key").exists()


class TestSwappedRows:
    def spoil(self, path: Path, *statements: str) -> None:
        with closing(sqlite3.connect(path)) as raw, raw:
            for statement in statements:
                raw.execute(statement)

    def test_a_template_moved_to_somebody_else_opens_nothing(self, path: Path) -> None:
        enrolled(path)
        self.spoil(
            path,
            "UPDATE templates SET person_id = (SELECT id FROM people WHERE person_id != people.id)",
        )
        store = Store.open(path, Vault.beside(path))
        reading = store.gallery.read(Space.plain(MODEL, 8))
        assert len(reading.faces) == 0
        assert reading.damaged.total() == 2
        assert store.templates.of("Ada") == []
        assert len(store.care.examine()) == 2
        store.close()

    def test_nor_does_one_that_is_passed_off_as_of_other_networks(self, path: Path) -> None:
        enrolled(path)
        self.spoil(path, "UPDATE models SET fingerprint = 'newer'")
        store = Store.open(path, Vault.beside(path))
        assert store.gallery.read(Space.plain("newer", 8)).damaged.total() == 2
        store.close()

    def test_a_plain_one_that_was_written_past_lockd_is_not_taken(self, path: Path) -> None:
        enrolled(path)
        self.spoil(path, "UPDATE templates SET sealed = CAST(x'0000803f' || zeroblob(28) AS BLOB)")
        store = Store.open(path, Vault.beside(path))
        assert store.gallery.read(Space.plain(MODEL, 8)).damaged.total() == 2
        store.close()


def test_no_plain_template_is_ever_on_disk(path: Path) -> None:
    store = Store.open(path, Vault.beside(path))
    store.people.add("Ada", MODEL, [unit(1, 2, 3)], by="root", photographs=[b"photograph" * 100])
    for file in path.parent.iterdir():
        content = file.read_bytes()
        assert unit(1, 2, 3).tobytes() not in content
        assert b"photographphotograph" not in content
    (number,) = store.templates.photographs("Ada")
    assert store.templates.photographs("Ada")[number] == b"photograph" * 100
    store.close()
