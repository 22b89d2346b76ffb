"""Enrolling: what is good is kept, what is not is told, and nothing half is written."""

from __future__ import annotations

import functools
import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from enroll.cli import main
from lockd.adapters.store import MAX_NAME, Store, Vault
from lockd.adapters.store.people import People
from lockd.config import Settings
from lockd.errors import ImageError, PersonError, StoreError
from lockd.recognition.photographs import template_of
from lockd.recognition.recogniser import Vision
from lockd.types import Embedding, Person
from lockd.vision.pictures import encode_jpeg
from tests.conftest import PEOPLE, SCENES
from tests.invoking import Run, invoke
from tests.pictures import (
    BIDEN_ENROLLED,
    COLLINS,
    OBAMA,
    OBAMA_ENROLLED,
    OBAMA_ENROLLED_TOO,
    PROFILE,
    read,
    side_by_side,
)

CAT = SCENES / "cat.jpg"


@pytest.fixture
def run(vision: Vision, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command; its networks are the ones of the whole session."""
    monkeypatch.setattr("enroll.people.Vision", lambda settings: vision)
    return functools.partial(invoke, main)


def enrolled(run: Run) -> dict[str, int]:
    """Everybody's number of templates, as `list --json` has it."""
    result = run("list", "--json")
    assert result.exit_code == 0
    return {row["name"]: row["templates"] for row in json.loads(result.stdout)}


class TestAdding:
    def test_a_person_is_enrolled_from_their_photographs(self, run: Run) -> None:
        result = run("add", "Barack Obama", OBAMA_ENROLLED, OBAMA_ENROLLED_TOO)
        assert result.exit_code == 0
        assert result.stdout == "Barack Obama: 2 enrolled, 0 refused\n"
        assert enrolled(run) == {"Barack Obama": 2}

    def test_the_templates_are_those_of_the_photographs_and_networks(
        self, run: Run, vision: Vision
    ) -> None:
        run("add", "Barack Obama", OBAMA_ENROLLED)
        store = Store.open(Settings().store.path(), Vault.beside(Settings().store.path()))
        templates, foreign = store.gallery.usable(vision.embedder.space)
        store.close()
        assert foreign == 0
        probe = template_of(OBAMA, vision, Settings().quality.limits())
        assert float(templates[0].embedding @ probe) > 0.7

    def test_more_photographs_are_added_to_the_same_person(self, run: Run) -> None:
        run("add", "Barack Obama", OBAMA_ENROLLED)
        run("add", "Barack Obama", OBAMA_ENROLLED_TOO)
        assert enrolled(run) == {"Barack Obama": 2}

    def test_what_is_good_is_kept_and_what_is_refused_is_told(
        self, run: Run, tmp_path: Path
    ) -> None:
        torn = tmp_path / "torn.jpg"
        torn.write_bytes(OBAMA.read_bytes()[:5000])
        result = run("add", "Barack Obama", CAT, OBAMA_ENROLLED, torn, PROFILE)
        assert result.exit_code == ImageError.exit_code == 8
        assert result.stdout == "Barack Obama: 1 enrolled, 3 refused\n"
        refused = [line for line in result.stderr.splitlines() if line.startswith("refused: ")]
        assert [line.split(": ")[1] for line in refused] == [str(CAT), str(torn), str(PROFILE)]
        assert "no face found" in refused[0]
        assert "too small" in refused[2]
        assert enrolled(run) == {"Barack Obama": 1}

    def test_nothing_is_written_when_every_photograph_is_refused(self, run: Run) -> None:
        result = run("add", "Cat", CAT, PROFILE)
        assert result.exit_code == 8
        assert result.stdout == ""
        assert enrolled(run) == {}

    def test_a_photograph_of_two_people_is_refused(self, run: Run, tmp_path: Path) -> None:
        pair = tmp_path / "pair.jpg"
        pair.write_bytes(encode_jpeg(side_by_side(read(COLLINS), read(OBAMA))))
        result = run("add", "Barack Obama", pair)
        assert result.exit_code == 8
        assert "shows 2 faces" in result.stderr
        assert enrolled(run) == {}

    def test_a_photograph_that_is_not_there_is_wrong_usage(self, run: Run, tmp_path: Path) -> None:
        result = run("add", "Ada", OBAMA, tmp_path / "gone.jpg")
        assert result.exit_code == 2
        assert "gone.jpg" in result.stderr
        assert enrolled(run) == {}

    def test_a_person_without_photographs_is_wrong_usage(self, run: Run) -> None:
        assert run("add", "Ada").exit_code == 2

    def test_a_file_name_is_never_read_as_markup(self, run: Run, tmp_path: Path) -> None:
        odd = tmp_path / "[red]cat[bold].jpg"
        odd.write_bytes(CAT.read_bytes())
        assert "[red]cat[bold].jpg" in run("add", "Cat", odd).stderr


class TestNames:
    def test_a_name_is_kept_composed_and_without_space_at_its_ends(self, run: Run) -> None:
        decomposed = unicodedata.normalize("NFD", "Zoë Müller")
        assert len(decomposed) > len("Zoë Müller")
        run("add", f"  {decomposed} ", OBAMA_ENROLLED)
        assert list(enrolled(run)) == ["Zoë Müller"]

    @pytest.mark.parametrize("again", ["ZOË MÜLLER", "zoë müller", "Zoe\u0308 Mu\u0308ller"])
    def test_a_name_written_otherwise_is_the_same_person(self, run: Run, again: str) -> None:
        run("add", "Zoë Müller", OBAMA_ENROLLED)
        run("add", again, OBAMA_ENROLLED_TOO)
        assert enrolled(run) == {"Zoë Müller": 2}
        assert run("remove", again).stdout == "Removed Zoë Müller.\n"
        assert enrolled(run) == {}

    @pytest.mark.parametrize(
        "name", ["田中さん", "Ὀδυσσεύς", "O'Brien; DROP TABLE people", "[bold]"]
    )
    def test_any_real_name_can_be_used(self, run: Run, name: str) -> None:
        assert run("add", name, OBAMA_ENROLLED).exit_code == 0
        assert name in run("list").stdout
        assert list(enrolled(run)) == [unicodedata.normalize("NFC", name)]

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "   ",
            "x" * (MAX_NAME + 1),
            "Ada\nLovelace",
            "Ada\x1b[31m",
            "Ada\x00",
            "Ada\u202egnik",
            "Ada\u200b",
            "Ada\u2028Lovelace",
        ],
        ids=ascii,
    )
    def test_a_name_that_nobody_has_is_refused_and_nothing_written(
        self, run: Run, name: str
    ) -> None:
        result = run("add", name, OBAMA_ENROLLED)
        assert result.exit_code == PersonError.exit_code == 9
        assert result.stderr.startswith("error: ")
        assert "\x1b" not in result.stderr
        assert not Settings().store.path().exists()

    def test_the_longest_name_fits(self, run: Run) -> None:
        assert run("add", "x" * MAX_NAME, OBAMA_ENROLLED).exit_code == 0


class TestFolder:
    def test_everybody_in_a_folder_is_enrolled(self, run: Run) -> None:
        result = run("folder", PEOPLE)
        assert result.exit_code == 0
        assert result.stdout.splitlines() == [
            "Barack Obama: 2 enrolled, 0 refused",
            "Joe Biden: 1 enrolled, 0 refused",
            "2 of 2 people enrolled from 3 photographs, 0 refused",
        ]
        assert enrolled(run) == {"Barack Obama": 2, "Joe Biden": 1}

    def people(self, folder: Path, **photographs: Sequence[Path]) -> Path:
        for name, paths in photographs.items():
            (folder / name).mkdir(parents=True)
            for number, path in enumerate(paths):
                (folder / name / f"{number}.jpg").write_bytes(path.read_bytes())
        return folder

    def test_underscores_are_spaces(self, run: Run, tmp_path: Path) -> None:
        run("folder", self.people(tmp_path / "p", Joe_Biden=[BIDEN_ENROLLED]))
        assert enrolled(run) == {"Joe Biden": 1}

    def test_what_is_refused_of_one_person_does_not_stop_the_others(
        self, run: Run, tmp_path: Path
    ) -> None:
        folder = self.people(
            tmp_path / "p", Ann=[CAT], Barack=[OBAMA_ENROLLED, CAT], Joe=[BIDEN_ENROLLED]
        )
        result = run("folder", folder)
        assert result.exit_code == 8
        assert enrolled(run) == {"Barack": 1, "Joe": 1}
        assert result.stdout.splitlines()[-1] == (
            "2 of 3 people enrolled from 2 photographs, 2 refused"
        )

    def test_a_folder_whose_name_is_nobodys_is_refused_and_the_others_enrolled(
        self, run: Run, tmp_path: Path
    ) -> None:
        folder = self.people(
            tmp_path / "p", **{"x" * 65: [OBAMA_ENROLLED], "Joe": [BIDEN_ENROLLED]}
        )
        result = run("folder", folder)
        assert result.exit_code == 9
        assert "65 characters" in result.stderr
        assert enrolled(run) == {"Joe": 1}

    def test_a_store_that_fails_half_way_is_told_beside_what_was_done(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = self.people(tmp_path / "p", Barack=[OBAMA_ENROLLED, CAT], Joe=[BIDEN_ENROLLED])
        add = People.add

        def full(
            people: People, name: str, model: str, embeddings: Sequence[Embedding], **how: bool
        ) -> Person:
            if name == "Joe":
                raise StoreError("lockd.db: database or disk is full")
            return add(people, name, model, embeddings, **how)

        monkeypatch.setattr(People, "add", full)
        result = run("folder", folder)
        assert result.exit_code == StoreError.exit_code == 5
        assert "disk is full" in result.stderr
        assert f"refused: {folder / 'Barack' / '1.jpg'}" in result.stderr
        assert "Barack: 1 enrolled, 1 refused" in result.stdout
        assert enrolled(run) == {"Barack": 1}

    def test_a_folder_of_nobody_is_refused_before_a_store_is_made(
        self, run: Run, tmp_path: Path
    ) -> None:
        result = run("folder", tmp_path)
        assert result.exit_code == 8
        assert "make one per person" in result.stderr
        assert not Settings().store.path().exists()


class TestListingAndRemoving:
    def test_an_empty_store_says_so(self, run: Run) -> None:
        result = run("list")
        assert result.exit_code == 0
        assert "Nobody is enrolled" in result.stdout
        assert json.loads(run("list", "--json").stdout) == []

    def test_the_list_shows_everybody_by_name(self, run: Run) -> None:
        run("folder", PEOPLE)
        text = run("list").stdout
        assert text.index("Barack Obama") < text.index("Joe Biden")

    def test_the_list_for_machines_tells_when_and_as_whom(self, run: Run) -> None:
        run("add", "Zoë", OBAMA_ENROLLED)
        text = run("list", "--json").stdout
        assert "Zoë" in text
        (row,) = json.loads(text)
        assert row.keys() == {
            *("id", "name", "enabled", "templates", "created_utc"),
            *("groups", "valid_from", "valid_until"),
            *("external_id", "notes", "consent_by", "consent_utc", "pin", "cards"),
        }
        assert row["created_utc"].endswith("Z")

    def test_a_person_removed_is_gone_and_the_others_stay(self, run: Run) -> None:
        run("folder", PEOPLE)
        result = run("remove", "barack obama")
        assert result.exit_code == 0
        assert result.stdout == "Removed Barack Obama.\n"
        assert enrolled(run) == {"Joe Biden": 1}

    def test_removing_somebody_unknown_is_an_error(self, run: Run) -> None:
        run("folder", PEOPLE)
        result = run("remove", "Ada Lovelace")
        assert result.exit_code == 9
        assert "'Ada Lovelace': nobody of that name is enrolled" in result.stderr
        assert len(enrolled(run)) == 2

    def test_somebody_removed_and_enrolled_again_is_somebody_new(self, run: Run) -> None:
        ids = []
        for _ in range(2):
            run("add", "Joe", BIDEN_ENROLLED)
            ids.append(json.loads(run("list", "--json").stdout)[0]["id"])
            run("remove", "Joe")
        assert ids[0] != ids[1]


class TestRights:
    ACCESS = """
access:
  groups:
    staff: {hours: {mon-fri: ["07:00-19:00"]}}
    cleaners: {hours: {mon-sun: ["22:00-02:00"]}}
"""

    @pytest.fixture
    def with_groups(self, run: Run, tmp_path: Path) -> Run:
        """Runs the command with the groups staff and cleaners."""
        config = tmp_path / "lockd.yaml"
        config.write_text(self.ACCESS)
        return lambda *arguments: run(*arguments, "--config", config)

    def rights(self, run: Run) -> tuple[list[str], str | None, str | None]:
        (row,) = json.loads(run("list", "--json").stdout)
        return row["groups"], row["valid_from"], row["valid_until"]

    def test_somebody_is_enrolled_with_them(self, with_groups: Run) -> None:
        options = ("--group", "staff", "--group", "cleaners", "--valid-until", "2026-12-31")
        assert with_groups("add", "Joe", BIDEN_ENROLLED, *options).exit_code == 0
        assert self.rights(with_groups) == (["cleaners", "staff"], None, "2026-12-31")
        text = with_groups("list").stdout
        assert "cleaners," in text
        assert "staff" in text
        assert "until 2026-12-31" in text

    def test_more_photographs_leave_them_as_they_are(self, with_groups: Run) -> None:
        with_groups("add", "Barack", OBAMA_ENROLLED, "--group", "staff")
        with_groups("add", "Barack", OBAMA_ENROLLED_TOO, "--valid-from", "2026-11-01")
        assert self.rights(with_groups) == (["staff"], "2026-11-01", None)

    def test_they_are_changed_one_by_one_and_shown(self, with_groups: Run) -> None:
        with_groups("add", "Joe", BIDEN_ENROLLED, "--group", "staff")
        result = with_groups("access", "JOE", "--group", "cleaners", "--valid-from", "2026-11-01")
        assert result.exit_code == 0
        assert result.stdout == "Joe: groups: cleaners; valid: from 2026-11-01\n"
        result = with_groups("access", "Joe", "--valid-until", "2026-12-31")
        assert result.stdout == "Joe: groups: cleaners; valid: from 2026-11-01 until 2026-12-31\n"
        result = with_groups("access", "Joe", "--no-groups", "--valid-from", "none")
        assert result.stdout == ("Joe: groups: none, so always admitted; valid: until 2026-12-31\n")
        assert self.rights(with_groups) == ([], None, "2026-12-31")

    def test_a_whole_folder_gets_the_same(self, with_groups: Run) -> None:
        assert with_groups("folder", PEOPLE, "--group", "stafff").exit_code == 9
        assert enrolled(with_groups) == {}
        with_groups("folder", PEOPLE, "--group", "staff", "--valid-until", "2026-12-31")
        rows = json.loads(with_groups("list", "--json").stdout)
        found = [(row["groups"], row["valid_until"]) for row in rows]
        assert found == [(["staff"], "2026-12-31")] * 2

    def test_the_default_group_is_named(self, run: Run, tmp_path: Path) -> None:
        config = tmp_path / "lockd.yaml"
        config.write_text(self.ACCESS + "  default_group: staff\n")
        run("add", "Joe", BIDEN_ENROLLED)
        text = run("access", "Joe", "--config", config).stdout
        assert text == "Joe: groups: none, so staff by default; valid: without limit\n"

    @pytest.mark.parametrize(
        ("name", "hint"),
        [("stafff", "did you mean staff?"), ("visitors", "there are staff, cleaners")],
    )
    def test_a_group_that_does_not_exist_is_refused_and_nothing_written(
        self, with_groups: Run, name: str, hint: str
    ) -> None:
        result = with_groups("add", "Joe", BIDEN_ENROLLED, "--group", name)
        assert result.exit_code == 9
        assert f"'{name}': no such group in the configuration; {hint}" in result.stderr
        assert enrolled(with_groups) == {}
        with_groups("add", "Joe", BIDEN_ENROLLED, "--group", "staff")
        assert with_groups("access", "Joe", "--group", name).exit_code == 9
        assert self.rights(with_groups) == (["staff"], None, None)

    def test_without_any_groups_it_says_where_to_make_one(self, run: Run) -> None:
        result = run("add", "Joe", BIDEN_ENROLLED, "--group", "staff")
        assert result.exit_code == 9
        assert "add it to access.groups first" in result.stderr

    def test_a_group_that_is_gone_is_shown_as_unknown(self, with_groups: Run, run: Run) -> None:
        with_groups("add", "Joe", BIDEN_ENROLLED, "--group", "staff")
        assert "staff (unknown)" in run("access", "Joe").stdout
        assert "(unknown)" in run("list").stdout
        # Another photograph does not need the group back.
        assert run("add", "Joe", BIDEN_ENROLLED).exit_code == 0
        assert self.rights(run) == (["staff"], None, None)

    @pytest.mark.parametrize(
        "day", ["2026-02-30", "tomorrow", "20261231", "31.12.2026", "2026-12-31T24:00", ""]
    )
    def test_what_is_no_date_is_wrong_usage(self, run: Run, day: str) -> None:
        result = run("access", "Joe", "--valid-until", day)
        assert result.exit_code == 2
        assert f"{day!r} is no date" in result.stderr

    def test_a_visitors_pass_is_to_the_minute(self, run: Run) -> None:
        run("add", "Joe", BIDEN_ENROLLED, "--valid-from", "2026-12-01 09:30")
        result = run("access", "Joe", "--valid-until", "2026-12-01T17:00")
        assert "from 2026-12-01T09:30 until 2026-12-01T17:00" in result.stdout
        assert self.rights(run) == ([], "2026-12-01T09:30", "2026-12-01T17:00")

    def test_a_last_day_before_the_first_is_refused(self, run: Run) -> None:
        run("add", "Joe", BIDEN_ENROLLED, "--valid-from", "2026-12-01")
        result = run("access", "Joe", "--valid-until", "2026-11-30")
        assert result.exit_code == 9
        assert "before it begins" in result.stderr
        assert self.rights(run) == ([], "2026-12-01", None)

    def test_groups_and_no_groups_exclude_each_other(self, with_groups: Run) -> None:
        result = with_groups("access", "Joe", "--group", "staff", "--no-groups")
        assert result.exit_code == 2
        assert "exclude each other" in result.stderr

    def test_nobodys_can_be_changed(self, run: Run) -> None:
        result = run("access", "Ada")
        assert result.exit_code == 9
        assert "nobody of that name" in result.stderr


class TestSettings:
    def test_the_store_and_the_limits_are_those_of_the_configuration(
        self, run: Run, tmp_path: Path
    ) -> None:
        config = tmp_path / "lockd.yaml"
        config.write_text("store:\n  folder: here\nquality:\n  min_face_px: 250\n")
        result = run("add", "Joe", BIDEN_ENROLLED, "--config", config)
        assert result.exit_code == 8
        assert "too small" in result.stderr
        config.write_text("store:\n  folder: here\n")
        assert run("add", "Joe", BIDEN_ENROLLED, "--config", config).exit_code == 0
        assert (tmp_path / "here" / "lockd.db").exists()
        assert enrolled(run) == {}

    @pytest.mark.parametrize("command", [["list"], ["remove", "x"], ["folder", PEOPLE]])
    def test_a_wrong_configuration_stops_every_command(
        self, run: Run, tmp_path: Path, command: list[Any]
    ) -> None:
        config = tmp_path / "lockd.yaml"
        config.write_text("log: loud")
        result = run(*command, "--config", config)
        assert result.exit_code == 3
        assert "log: 'loud' is wrong" in result.stderr

    def test_the_help_names_the_commands_and_the_exit_codes(self, run: Run) -> None:
        text = run("--help").stdout
        for word in ("add", "folder", "list", "access", "remove", "Exit codes", "person's name"):
            assert word in text
