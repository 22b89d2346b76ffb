"""Exported and imported: nothing is lost, nothing overwritten, and no file is trusted."""

from __future__ import annotations

import json
import resource
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from enroll import sealed
from enroll.cli import main
from enroll.portable import unpack
from enroll.sealed import seal, unseal
from lockd.errors import TransferError
from tests.enroll.conftest import DETAILS, Enrol, opened
from tests.invoking import Run

PASSPHRASE = "correct horse battery"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that costs little, as tests make many."""
    monkeypatch.setattr(sealed, "LOG_N", 10)


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE + "\n")
    return path


@pytest.fixture
def file(run: Run, enrol: Enrol, passphrase: Path, tmp_path: Path) -> Path:
    """Zoë and Bob, exported and removed."""
    enrol("Zoë", 0, 10, 20, details=DETAILS, groups=frozenset({"staff"}), valid_until="2027-01-01")
    enrol("Bob", 100, 110)
    run("disable", "Bob")
    path = tmp_path / "people.lockd"
    assert run("export", path, "--passphrase-file", passphrase).exit_code == 0
    for name in ("Zoë", "Bob"):
        run("remove", name)
    return path


def imported(run: Run, file: Path, passphrase: Path, *options: str) -> tuple[int, dict[str, str]]:
    """The exit code, and what was done with each."""
    result = run("import", file, "--passphrase-file", passphrase, "--json", *options)
    people = json.loads(result.stdout)["people"] if result.stdout else []
    return result.exit_code, {one["name"]: one["action"] for one in people}


def everybody() -> list[dict[str, Any]]:
    with opened() as store:
        return [
            {
                "name": one.person.name,
                "groups": one.person.groups,
                "until": one.person.valid_until,
                "enabled": one.enabled,
                "details": one.details,
                "templates": sorted(
                    kept.embedding.tobytes() for kept in store.templates.of(one.person.name)
                ),
                "photographs": sorted(store.templates.photographs(one.person.name).values()),
            }
            for one in store.people.all()
        ]


EVE = {
    "name": "Eve", "enabled": True, "groups": [], "valid_from": None, "valid_until": None,
    "external_id": None, "notes": None, "consent_by": None, "consent_utc": None,
}  # fmt: skip


class TestThereAndBack:
    def test_everything_comes_back(
        self, run: Run, enrol: Enrol, passphrase: Path, tmp_path: Path
    ) -> None:
        enrol("Zoë", 0, 10, details=DETAILS, groups=frozenset({"staff"}), valid_until="2027-01-01")
        enrol("Bob", 100, 110)
        run("disable", "Bob")
        before = everybody()
        path = tmp_path / "people.lockd"
        result = run("export", path, "--passphrase-file", passphrase)
        assert result.stdout == f"2 people written to {path}.\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for name in ("Zoë", "Bob"):
            run("remove", name)
        assert imported(run, path, passphrase) == (0, {"Zoë": "added", "Bob": "added"})
        assert everybody() == before

    def test_photographs_come_along_if_both_doors_keep_them(
        self, run: Run, enrol: Enrol, passphrase: Path, tmp_path: Path
    ) -> None:
        enrol("Zoë", 0, 10, photographs=[b"one", b"two"])
        path = tmp_path / "people.lockd"
        run("export", path, "--passphrase-file", passphrase)
        run("remove", "Zoë")
        imported(run, path, passphrase)
        assert everybody()[0]["photographs"] == []
        run("remove", "Zoë")
        keeps = tmp_path / "lockd.yaml"
        keeps.write_text("store: {keep_photographs: true}\n")
        imported(run, path, passphrase, "--config", str(keeps))
        assert everybody()[0]["photographs"] == [b"one", b"two"]

    def test_only_those_named_are_exported(
        self, run: Run, enrol: Enrol, passphrase: Path, tmp_path: Path
    ) -> None:
        enrol("Zoë", 0)
        enrol("Bob", 100)
        path = tmp_path / "people.lockd"
        run("export", path, "bob", "BOB", "--passphrase-file", passphrase)
        assert imported(run, path, passphrase, "--dry-run") == (0, {"Bob": "unchanged"})
        assert run("export", tmp_path / "x", "Ada", "--passphrase-file", passphrase).exit_code == 9
        assert not (tmp_path / "x").exists()

    def test_an_export_overwrites_nothing(
        self, run: Run, enrol: Enrol, passphrase: Path, file: Path
    ) -> None:
        enrol("Ada", 0)
        before = file.read_bytes()
        assert run("export", file, "--passphrase-file", passphrase).exit_code == 13
        assert file.read_bytes() == before

    def test_no_name_can_be_read_in_the_file(self, file: Path) -> None:
        content = file.read_bytes()
        assert "Zoë".encode() not in content
        assert b"staff" not in content


class TestImport:
    def test_a_dry_run_changes_nothing(self, run: Run, file: Path, passphrase: Path) -> None:
        assert imported(run, file, passphrase, "--dry-run") == (
            0,
            {"Zoë": "added", "Bob": "added"},
        )
        assert everybody() == []

    def test_twice_is_once(self, run: Run, file: Path, passphrase: Path) -> None:
        imported(run, file, passphrase)
        before = everybody()
        assert imported(run, file, passphrase) == (0, {"Zoë": "unchanged", "Bob": "unchanged"})
        assert everybody() == before

    def test_somebody_enrolled_here_is_left_alone(
        self, run: Run, enrol: Enrol, file: Path, passphrase: Path
    ) -> None:
        enrol("zoë", 5)
        assert imported(run, file, passphrase) == (9, {"Zoë": "refused", "Bob": "added"})
        assert [len(one["templates"]) for one in everybody()] == [2, 1]

    def test_told_to_replace_them_everything_is_the_files(
        self, run: Run, enrol: Enrol, file: Path, passphrase: Path
    ) -> None:
        enrol("Zoë", 5, 6, 7, 8)
        assert imported(run, file, passphrase, "--replace")[1]["Zoë"] == "replaced"
        zoe = everybody()[1]
        assert len(zoe["templates"]) == 3
        assert (zoe["groups"], zoe["details"]) == (frozenset({"staff"}), DETAILS)

    def test_somebody_disabled_is_never_enabled_by_it(
        self, run: Run, file: Path, passphrase: Path
    ) -> None:
        imported(run, file, passphrase)
        assert {one["name"]: one["enabled"] for one in everybody()} == {"Bob": False, "Zoë": True}

    def test_who_looks_like_somebody_else_here_is_refused(
        self, run: Run, enrol: Enrol, file: Path, passphrase: Path
    ) -> None:
        enrol("Ada", 15)
        result = run("import", file, "--passphrase-file", passphrase)
        assert result.exit_code == 9
        assert "too like Ada" in " ".join(result.stdout.split())
        assert [one["name"] for one in everybody()] == ["Ada", "Bob"]
        assert imported(run, file, passphrase, "--anyway", "twins")[1]["Zoë"] == "added"
        with opened() as store:
            assert store.audit.latest(1)[0].note == "import, anyway: twins"

    def test_templates_of_other_networks_are_refused(
        self, run: Run, enrol: Enrol, passphrase: Path, tmp_path: Path
    ) -> None:
        enrol("Zoë", 0, model="earlier")
        path = tmp_path / "people.lockd"
        run("export", path, "--passphrase-file", passphrase)
        run("remove", "Zoë")
        assert imported(run, path, passphrase) == (9, {"Zoë": "refused"})
        assert everybody() == []

    def test_groups_that_this_door_does_not_have_are_told(
        self, run: Run, file: Path, passphrase: Path
    ) -> None:
        result = run("import", file, "--passphrase-file", passphrase, "--json")
        remarks = {one["name"]: one["why"] for one in json.loads(result.stdout)["people"]}
        assert remarks == {"Zoë": "group staff is unknown here", "Bob": ""}


class TestPassphrase:
    def test_it_is_asked_for_on_a_terminal(
        self, run: Run, enrol: Enrol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        enrol("Zoë", 0)
        monkeypatch.setattr("enroll.passphrase.on_a_terminal", lambda: True)
        path = tmp_path / "people.lockd"
        typed = f"{PASSPHRASE}\n{PASSPHRASE}\n"
        result = CliRunner().invoke(main, ["export", str(path)], input=typed)
        assert result.exit_code == 0
        assert PASSPHRASE not in result.output
        result = CliRunner().invoke(main, ["import", str(path)], input=PASSPHRASE + "\n")
        assert result.exit_code == 0

    def test_without_a_terminal_a_file_is_needed(self, run: Run, file: Path) -> None:
        assert run("import", file).exit_code == 2

    @pytest.mark.parametrize("content", [b"", b"\n", b"short\n", b"\xff\xfe\n", b"x" * 5000])
    def test_a_file_without_a_good_one_is_refused(
        self, run: Run, enrol: Enrol, tmp_path: Path, content: bytes
    ) -> None:
        enrol("Zoë", 0)
        (tmp_path / "bad").write_bytes(content)
        path = tmp_path / "people.lockd"
        assert run("export", path, "--passphrase-file", tmp_path / "bad").exit_code == 13
        assert not path.exists()

    def test_the_wrong_one_opens_nothing(self, run: Run, file: Path, tmp_path: Path) -> None:
        (tmp_path / "wrong").write_text("incorrect horse battery")
        result = run("import", file, "--passphrase-file", tmp_path / "wrong")
        assert result.exit_code == 13
        assert "passphrase is another one" in result.stderr
        assert everybody() == []


class TestHostileFiles:
    def refused(self, run: Run, path: Path, passphrase: Path) -> str:
        result = run("import", path, "--passphrase-file", passphrase)
        assert result.exit_code == TransferError.exit_code == 13
        assert result.stderr.startswith(f"error: {path}: ")
        with opened() as store:
            assert store.people.all() == []
        return result.stderr

    @pytest.mark.parametrize("kept", [0, 5, 20, 45, 60, -1])
    def test_one_cut_short(self, run: Run, file: Path, passphrase: Path, kept: int) -> None:
        file.write_bytes(file.read_bytes()[:kept])
        self.refused(run, file, passphrase)

    @pytest.mark.parametrize("place", [13, 14, 15, 16, 20, 40, 46, 100, -1])
    def test_one_with_a_byte_altered(
        self, run: Run, file: Path, passphrase: Path, place: int
    ) -> None:
        content = bytearray(file.read_bytes())
        content[place] ^= 1
        file.write_bytes(content)
        self.refused(run, file, passphrase)

    def test_one_of_a_later_version(self, run: Run, file: Path, passphrase: Path) -> None:
        content = bytearray(file.read_bytes())
        content[13] = 2
        file.write_bytes(content)
        assert "version 2, this lockd reads version 1" in self.refused(run, file, passphrase)

    @pytest.mark.parametrize(("place", "value"), [(14, 31), (14, 255), (14, 0), (15, 255), (16, 0)])
    def test_one_whose_key_would_cost_gigabytes(
        self, run: Run, file: Path, passphrase: Path, place: int, value: int
    ) -> None:
        content = bytearray(file.read_bytes())
        content[place] = value
        file.write_bytes(content)
        assert "cost too much" in self.refused(run, file, passphrase)

    @pytest.mark.parametrize("content", [b"", b"hello\n" * 100, bytes(1000), b"lockd people\n"])
    def test_one_that_is_no_such_file(
        self, run: Run, file: Path, passphrase: Path, content: bytes
    ) -> None:
        file.write_bytes(content)
        self.refused(run, file, passphrase)

    def test_one_without_end(self, run: Run, file: Path, passphrase: Path) -> None:
        with file.open("r+b") as opened_file:
            opened_file.truncate(1 << 40)
        assert "larger than 256 MiB" in self.refused(run, file, passphrase)

    def test_one_that_is_no_file(self, run: Run, file: Path, passphrase: Path) -> None:
        for path in (Path("/dev/zero"), file.parent):
            assert "no file" in self.refused(run, path, passphrase)

    @pytest.mark.parametrize(
        "content",
        [
            "", "[]", "{}", "null", '{"format":2,"people":[]}', "[" * 100_000,
            '{"format":1,"people":[{"name":"Eve"}]}',
            json.dumps({"format": 1, "people": [{**EVE, "templates": [{}]}]}),
            json.dumps({"format": 1, "people": [{**EVE, "groups": ["\x1b[2J"], "templates": []}]}),
            json.dumps({"format": 1, "people": [{**EVE, "templates": [], "root": True}]}),
            json.dumps({"format": 1, "people": [{**EVE, "enabled": 1, "templates": []}]}),
            json.dumps(
                {"format": 1, "people": [
                    {**EVE, "templates": [{"model": "m", "embedding": "AAAA", "photograph": None}]}
                ]}
            ),
        ],
    )  # fmt: skip
    def test_one_that_somebody_who_knows_the_passphrase_made_up(
        self, run: Run, file: Path, passphrase: Path, content: str
    ) -> None:
        file.write_bytes(seal(content.encode(), PASSPHRASE))
        self.refused(run, file, passphrase)

    @pytest.mark.parametrize("most", ["people", "templates"])
    def test_one_with_more_in_it_than_any_door_has_costs_no_memory(
        self, run: Run, file: Path, passphrase: Path, most: str
    ) -> None:
        template = {"model": "m", "embedding": "AACAPw==", "photograph": None}
        person = {**EVE, "templates": [template] * 160 if most == "templates" else []}
        text = json.dumps(person)
        count = 300_000 if most == "people" else 4000
        content = '{"format":1,"people":[' + ",".join([text] * count) + "]}"
        file.write_bytes(seal(content.encode(), PASSPHRASE))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert "export fewer people" in self.refused(run, file, passphrase)
        more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert more < 6 * len(content) >> 10

    @pytest.mark.parametrize(
        "change",
        [
            {"name": "Eve\x1b[2J"},
            {"name": "x" * 65},
            {"valid_until": "yesterday"},
            {"external_id": "\x00"},
            {"consent_utc": "once"},
        ],
        ids=str,
    )
    def test_somebody_in_it_who_cannot_be_is_refused_alone(
        self, run: Run, file: Path, passphrase: Path, change: dict[str, str]
    ) -> None:
        people = json.loads(unseal(file.read_bytes(), PASSPHRASE, "file"))
        people["people"][1] |= change
        file.write_bytes(seal(json.dumps(people).encode(), PASSPHRASE))
        result = run("import", file, "--passphrase-file", passphrase)
        assert result.exit_code == 9
        assert "\x1b" not in result.stdout
        assert [one["name"] for one in everybody()] == ["Bob"]


@settings(deadline=None)  # what looks like one of ours has its key made
@given(st.binary(max_size=200), st.booleans())
def test_junk_is_refused_whatever_it_is(junk: bytes, magic: bool) -> None:
    with pytest.raises(TransferError):
        unseal((b"lockd people\n\x01" if magic else b"") + junk, PASSPHRASE, "junk")


@settings(deadline=None)
@given(st.text(max_size=300))
def test_text_that_is_no_list_of_people_is_refused(text: str) -> None:
    with pytest.raises(TransferError):
        unpack(text.encode("utf-8", "surrogatepass"), "junk")


def test_two_exports_of_the_same_are_never_the_same() -> None:
    assert seal(b"x", PASSPHRASE) != seal(b"x", PASSPHRASE)


def test_a_file_of_ours_costs_a_guesser_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert seal(b"x", PASSPHRASE)[13:17] == bytes([1, 16, 8, 1])
