"""`lockd update`: a newer version is told, and fetched, only if a list says so that was signed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from lockd import __version__
from lockd.commands.main import main
from lockd.commands.update import command, index
from lockd.errors import InstallError
from lockd.messages import utc_text
from tests.invoking import invoke

PACKAGE = b"a package"
NAME = "lockd_99.0.0~deb12u1_amd64.deb"


class Releases:
    """A folder with a list that is signed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secret = ed25519.Ed25519PrivateKey.generate()
        self.key = folder / "key.pem"
        self.key.write_bytes(
            self.secret.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        (folder / NAME).write_bytes(PACKAGE)
        self.file: dict[str, Any] = {
            "name": NAME,
            "sha256": hashlib.sha256(PACKAGE).hexdigest(),
            "bytes": len(PACKAGE),
        }
        self.made = datetime.now(UTC)
        self.versions = ["0.1.0", "99.0.0", "99.1.0rc1", "9.0.0"]

    def publish(self, alter: Callable[[bytes], bytes] = bytes) -> None:
        releases = [
            {"version": one, "date": "2026-11-30", "files": [self.file] if one == "99.0.0" else []}
            for one in self.versions
        ]
        listed = {"schema": 1, "made_utc": utc_text(self.made), "releases": releases}
        content = json.dumps(listed).encode()
        secret = self.secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / "index.json.sig").write_bytes(index.sign(content, secret))
        (self.folder / "index.json").write_bytes(alter(content))

    def asked(self, *options: object) -> Result:
        return invoke(
            main, "update", "--index", self.folder / "index.json", "--key", self.key, *options
        )


@pytest.fixture
def releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Releases:
    monkeypatch.setattr(command.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(command.platform, "freedesktop_os_release", lambda: {"VERSION_ID": "12"})
    (tmp_path / "releases").mkdir()
    releases = Releases(tmp_path / "releases")
    releases.publish()
    return releases


def test_the_newest_that_is_final_is_told(releases: Releases) -> None:
    assert "lockd 99.0.0 of 2026-11-30 is there" in releases.asked("--check").stdout
    told = json.loads(releases.asked("--json").stdout)
    assert told == {
        "version": __version__, "newer": "99.0.0", "date": "2026-11-30", "package": NAME,
    }  # fmt: skip


def test_nothing_older_is_offered(releases: Releases) -> None:
    releases.versions = ["0.0.1", __version__]
    releases.publish()
    assert releases.asked().stdout == f"lockd {__version__} is the newest.\n"


@pytest.mark.parametrize(
    "alter",
    [
        lambda content: content.replace(b"99.0.0", b"98.0.0"),
        lambda content: content + b" ",
        lambda content: b"",
        lambda content: index.LABEL + content,
    ],
    ids=["another version", "a byte more", "nothing", "with the label"],
)
def test_what_was_altered_is_not_even_read(
    releases: Releases, alter: Callable[[bytes], bytes]
) -> None:
    releases.publish(alter)
    result = releases.asked()
    assert (result.exit_code, "is not signed with the key" in result.stderr) == (11, True)


@pytest.mark.parametrize("signature", [b"", b"AAAA", "ä".encode(), b"A" * 88])
def test_without_a_signature_nothing_is_read(releases: Releases, signature: bytes) -> None:
    (releases.folder / "index.json.sig").write_bytes(signature)
    assert releases.asked().exit_code == 11


def test_somebody_elses_signature_does_not_count(releases: Releases, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    releases.key = Releases(tmp_path / "other").key
    assert "is not signed with the key" in releases.asked().stderr


def test_the_package_is_fetched_and_is_what_was_signed(releases: Releases, tmp_path: Path) -> None:
    result = releases.asked("--download", tmp_path)
    assert result.exit_code == 0, result.output
    assert (tmp_path / NAME).read_bytes() == PACKAGE
    assert "is there already" in releases.asked("--download", tmp_path).stderr


@pytest.mark.parametrize("content", [b"", b"a packagf", b"a package ", b"a"])
def test_a_package_that_is_another_is_not_kept(
    releases: Releases, tmp_path: Path, content: bytes
) -> None:
    (releases.folder / NAME).write_bytes(content)
    result = releases.asked("--download", tmp_path)
    assert (result.exit_code, "not what was signed" in result.stderr) == (11, True)
    assert not list(tmp_path.glob("*lockd*"))


@pytest.mark.parametrize("name", ["../x", "/etc/x", ".x", "a/b", "", "a\n"])
def test_no_name_of_a_file_leads_elsewhere(releases: Releases, name: str) -> None:
    releases.file["name"] = name
    releases.publish()
    result = releases.asked()
    assert (result.exit_code, "name" in result.stderr) == (11, True)


def test_a_list_that_may_be_held_back_is_told(releases: Releases) -> None:
    releases.made = datetime.now(UTC) - timedelta(days=200)
    releases.publish()
    assert "is it the last?" in releases.asked().stderr


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("http://localhost/index.json", "only https://"),
        ("ftp://localhost/x", "only https://"),
        ("file:///etc/passwd", "only https://"),
        ("/nowhere/index.json", "No such file"),
        ("https://localhost:9/index.json", "refused"),
    ],
)
def test_where_nothing_can_be_had_from_is_told(releases: Releases, source: str, said: str) -> None:
    result = invoke(main, "update", "--index", source, "--key", releases.key)
    assert (result.exit_code, said in result.stderr) == (11, True), result.stderr


def test_it_must_be_said_where_releases_are_listed(releases: Releases, tmp_path: Path) -> None:
    assert "update.index and update.key_file" in invoke(main, "update").stderr
    config = tmp_path / "lockd.yaml"
    config.write_text("update: {index: releases/index.json, key_file: releases/key.pem}\n")
    result = invoke(main, "update", "--config", config)
    assert "No such file" in result.stderr, "an index may be a URL: it is not taken from there"
    config.write_text(
        f"update: {{index: {releases.folder}/index.json, key_file: releases/key.pem}}\n"
    )
    assert "99.0.0" in invoke(main, "update", "--config", config).stdout


def test_another_kind_of_key_is_refused(releases: Releases) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    other = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for content in (other, b"spoilt", b""):
        with pytest.raises(InstallError, match=r"no Ed25519 key|no public key"):
            index.public_key(content)
