"""The file of command keys: found, read, and read again when it changed."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from lockd.adapters.keys import CommandKeys, read_keys
from lockd.config import Settings
from lockd.config.mqtt import CommandSettings, MqttSettings
from lockd.errors import BusError

ANNA, BERT = bytes(range(32)), bytes(range(1, 33))


def write(file: Path, text: str, mode: int = 0o600) -> Path:
    file.write_text(text)
    file.chmod(mode)
    return file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "keys", f"# ours\n\nanna {ANNA.hex()}\nbert\t{BERT.hex().upper()}\n")


def test_each_identity_has_its_key(file: Path) -> None:
    assert CommandKeys(file).current() == {"anna": ANNA, "bert": BERT}


def test_a_name_has_64_characters_at_most_and_may_stand_apart_from_its_key(file: Path) -> None:
    write(file, f"{'n' * 64} \t  {ANNA.hex()}\n")
    assert CommandKeys(file).current() == {"n" * 64: ANNA}
    write(file, f"{'n' * 65} {ANNA.hex()}\n")
    assert CommandKeys(file).current() == {}


def test_a_key_that_is_removed_is_of_no_use_at_once(file: Path) -> None:
    keys = CommandKeys(file)
    assert "bert" in keys.current()
    write(file, f"anna {ANNA.hex()}\n")
    assert keys.current() == {"anna": ANNA}
    file.unlink()
    assert keys.current() == {}
    write(file, f"bert {BERT.hex()}\n")
    assert keys.current() == {"bert": BERT}


def test_a_file_that_stays_as_it_is_is_read_once(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = CommandKeys(file)
    keys.current()
    monkeypatch.setattr("lockd.adapters.keys.read_keys", lambda *_, **__: pytest.fail("read"))
    assert keys.current() == {"anna": ANNA, "bert": BERT}


def test_a_file_that_others_may_read_is_of_no_use_until_it_is_private(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = CommandKeys(file)
    assert keys.problem is None
    file.chmod(0o640)
    with caplog.at_level(logging.ERROR):
        assert keys.current() == {}
        assert keys.current() == {}
    assert keys.problem is not None
    assert "chmod 600" in keys.problem
    assert caplog.messages == [f"{keys.problem}; no signed command is obeyed"]
    file.chmod(0o600)
    assert set(keys.current()) == {"anna", "bert"}
    assert keys.problem is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("anna", "line 2 is not a name .* and 64 hexadecimal digits"),
        (f"anna {ANNA.hex()[:-1]}", "line 2 is not"),
        (f"anna {ANNA.hex()}0", "line 2 is not"),
        (f"anna: {ANNA.hex()}", "line 2 is not"),
        (f"an na {ANNA.hex()}", "line 2 is not"),
        (f"ann\xe4 {ANNA.hex()}", "line 2 is not"),
        (f"bert {ANNA.hex()}", "line 2: bert is there twice"),
        (f"plain {ANNA.hex()}", "line 2: plain means"),
        ("x" * 70_000, "longer than"),
    ],
)
def test_a_mistake_is_named_by_its_line_and_nothing_in_it_is_told(
    tmp_path: Path, line: str, message: str
) -> None:
    file = write(tmp_path / "keys", f"bert {BERT.hex()}\n{line}\n")
    with pytest.raises(BusError, match=message) as error:
        read_keys(file)
    assert str(error.value).startswith(f"{file}: ")
    assert ANNA.hex()[:8] not in str(error.value)
    assert BERT.hex()[:8] not in str(error.value)
    assert CommandKeys(file).current() == {}


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    keys = CommandKeys(tmp_path / "keys")
    assert keys.current() == {}
    assert (keys.problem or "").endswith("; make one with `lockd command-key add NAME`")


def test_a_line_that_is_no_text_is_a_mistake_like_any_other(file: Path) -> None:
    with file.open("ab") as opened:
        opened.write(b"cleo\xff " + ANNA.hex().encode())
    with pytest.raises(BusError, match="line 5 is not a name"):
        read_keys(file)


def test_no_more_of_a_file_is_read_than_it_may_have(file: Path) -> None:
    line = file.read_text()
    write(file, line + "#" * (65_536 - len(line)))
    assert set(read_keys(file)) == {"anna", "bert"}
    for size in (65_537, 1 << 40):
        os.truncate(file, size)
        with pytest.raises(BusError, match="longer than 65536 bytes"):
            read_keys(file)


def test_the_file_is_the_credential_else_the_one_set_else_beside_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings()
    assert CommandKeys.open(settings).file == settings.store.path().with_name("command-keys")
    named = Settings(mqtt=MqttSettings(commands=CommandSettings(keys_file=tmp_path / "named")))
    assert CommandKeys.open(named).file == tmp_path / "named"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert CommandKeys.open(named).file == tmp_path / "named"
    write(tmp_path / "command-keys", f"anna {ANNA.hex()}\n", 0o440)  # an access list shows so
    assert CommandKeys.open(named).current() == {"anna": ANNA}


def test_the_file_is_judged_as_it_was_opened(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    os.symlink(file, link)
    assert set(read_keys(link)) == {"anna", "bert"}
    file.chmod(0o604)
    with pytest.raises(BusError, match="0604"):
        read_keys(link)
