"""Looking after people: shown, changed, checked, merged and forgotten."""

from __future__ import annotations

import errno
import json
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from enroll.cli import main
from lockd.adapters.store import Details
from lockd.adapters.store.people import People
from lockd.config import Settings
from lockd.errors import PersonError, StoreError
from tests.conftest import ROOT
from tests.enroll.conftest import DETAILS, Enrol, opened
from tests.invoking import Run


def kept(name: str) -> Details:
    with opened() as store:
        return store.people.named(name).details


def names() -> list[str]:
    with opened() as store:
        return [one.person.name for one in store.people.all()]


def audit() -> list[tuple[str, str | None]]:
    with opened() as store:
        return [(one.action, one.note) for one in store.audit.latest(100)]


class TestShow:
    def test_what_goes_into_a_pipe_is_never_cut(
        self, run: Run, enrol: Enrol, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = "Wolfeschlegelsteinhausenbergerdorff " + "M" * 28
        enrol(name, 0, details=DETAILS)
        monkeypatch.setenv("COLUMNS", "40")
        (row,) = [line for line in run("list").stdout.splitlines() if "M" * 28 in line]
        assert name in row
        assert "B-17" in row

    def test_everything_that_is_kept_is_shown(self, run: Run, enrol: Enrol) -> None:
        enrol("Zoë", 0, 10, details=DETAILS)
        text = run("show", "ZOË").stdout
        for part in (
            "Zoë: groups: none",
            "B-17",
            "2026-11-01 Ann",
            "works at night",
            "templates: 2",
        ):
            assert part in text

    def test_for_programs_too(self, run: Run, enrol: Enrol) -> None:
        enrol("Zoë", 0, 10, details=DETAILS)
        data = json.loads(run("show", "Zoë", "--json").stdout)
        assert data["name"] == "Zoë"
        assert data["enabled"] is True
        assert data["consent_by"] == "Ann"
        assert [one["photograph"] for one in data["templates"]] == [False, False]
        assert data["unreadable_templates"] == 0

    @pytest.mark.parametrize("command", ["show", "list", "check"])
    def test_looking_makes_no_store(self, run: Run, command: str) -> None:
        run(command, *(["Ada"] if command == "show" else []))
        assert not Settings().store.path().exists()

    def test_somebody_unknown_is_an_error_with_a_hint(self, run: Run, enrol: Enrol) -> None:
        assert run("show", "Ada").exit_code == PersonError.exit_code
        enrol("Adam", 0)
        assert "did you mean 'Adam'?" in run("show", "Ada").stderr


class TestDetails:
    def test_they_are_changed_one_by_one(self, run: Run, enrol: Enrol) -> None:
        enrol("Zoë", 0, details=DETAILS)
        result = run("describe", "zoë", "--note", "works by day", "--external-id", "none")
        assert result.exit_code == 0
        assert kept("Zoë") == Details(None, "works by day", "Ann", "2026-11-01")

    def test_consent_has_a_day(self, run: Run, enrol: Enrol) -> None:
        enrol("Zoë", 0)
        run("describe", "Zoë", "--consent-by", "Bob", "--consent-date", "2026-11-02")
        assert kept("Zoë") == Details(None, None, "Bob", "2026-11-02")
        run("describe", "Zoë", "--consent-by", "none")
        assert kept("Zoë") == Details()

    def test_without_a_day_it_is_todays(self, run: Run, enrol: Enrol) -> None:
        enrol("Zoë", 0)
        run("describe", "Zoë", "--consent-by", "Bob")
        assert len(kept("Zoë").consent_utc or "") == len("2026-11-02")

    @pytest.mark.parametrize(
        "options",
        [
            (),
            ("--consent-date", "2026-11-02"),
            ("--consent-by", "Bob", "--consent-date", "2999-01-01"),
            ("--consent-by", "Bob", "--consent-date", "yesterday"),
        ],
    )
    def test_what_makes_no_sense_is_wrong_usage(
        self, run: Run, enrol: Enrol, options: tuple[str, ...]
    ) -> None:
        enrol("Zoë", 0, details=DETAILS)
        assert run("describe", "Zoë", *options).exit_code == 2
        assert kept("Zoë") == DETAILS

    def test_somebody_elses_external_id_is_refused(self, run: Run, enrol: Enrol) -> None:
        enrol("Zoë", 0, details=DETAILS)
        enrol("Ada", 90)
        assert run("describe", "Ada", "--external-id", "B-17").exit_code == 9
        assert kept("Ada") == Details()


class TestNamesAndDisabling:
    def test_somebody_renamed_keeps_everything_else(self, run: Run, enrol: Enrol) -> None:
        enrol("Zoë", 0, details=DETAILS)
        result = run("rename", "zoë", "  Zoë King ")
        assert result.stdout == "Zoë is called Zoë King now.\n"
        assert kept("Zoë King") == DETAILS
        assert ("rename", None) in audit()

    @pytest.mark.parametrize("new", ["", "Ada\n", "x" * 65, "Bob"])
    def test_a_name_that_cannot_be_is_refused(self, run: Run, enrol: Enrol, new: str) -> None:
        enrol("Zoë", 0)
        enrol("Bob", 90)
        assert run("rename", "Zoë", new + "\x07" if new == "Ada\n" else new).exit_code == 9
        assert names() == ["Bob", "Zoë"]

    def test_somebody_disabled_is_a_stranger_until_enabled(self, run: Run, enrol: Enrol) -> None:
        enrol("Zoë", 0)
        assert "stranger" in run("disable", "Zoë").stdout
        assert "disabled" in run("list").stdout
        assert "disabled" in run("show", "Zoë").stdout
        assert json.loads(run("list", "--json").stdout)[0]["enabled"] is False
        run("enable", "Zoë")
        assert json.loads(run("list", "--json").stdout)[0]["enabled"] is True


class TestMerge:
    def test_two_who_are_one_become_one(self, run: Run, enrol: Enrol) -> None:
        enrol("Zoe", 0, 10)
        enrol("Zoë King", 20, details=DETAILS)
        result = run("merge", "Zoe", "Zoë King")
        assert result.stdout == "Zoe is Zoë King now, with 3 templates.\n"
        assert names() == ["Zoë King"]
        assert kept("Zoë King") == DETAILS

    def test_two_who_look_like_two_are_not_merged_by_mistake(self, run: Run, enrol: Enrol) -> None:
        enrol("Zoë", 0)
        enrol("Bob", 90)
        result = run("merge", "Zoë", "Bob")
        assert result.exit_code == 9
        assert "do not look like one person" in result.stderr
        assert names() == ["Bob", "Zoë"]

    def test_anyway_they_are_and_the_reason_is_kept(self, run: Run, enrol: Enrol) -> None:
        enrol("Zoë", 0)
        enrol("Bob", 90)
        assert run("merge", "Zoë", "Bob", "--anyway", "a new beard").exit_code == 0
        action, note = audit()[0]
        assert action == "merge"
        assert str(note).endswith("anyway: a new beard")


class TestRemoving:
    def teston_a_terminal_it_is_asked_first(
        self, run: Run, enrol: Enrol, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from click.testing import CliRunner

        enrol("Zoë", 0)
        monkeypatch.setattr("enroll.opened.on_a_terminal", lambda: True)
        for answer, left in (("n\n", ["Zoë"]), ("", ["Zoë"]), ("y\n", [])):
            result = CliRunner().invoke(main, ["remove", "Zoë"], input=answer)
            assert "Forget Zoë?" in result.stderr
            assert result.exit_code == (0 if answer == "y\n" else 1)
            assert names() == left

    def test_yes_asks_nothing(
        self, run: Run, enrol: Enrol, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        enrol("Zoë", 0)
        monkeypatch.setattr("enroll.opened.on_a_terminal", lambda: True)
        assert run("remove", "Zoë", "--yes").exit_code == 0
        assert names() == []

    def test_what_was_forgotten_is_written_into_a_report(
        self, run: Run, enrol: Enrol, tmp_path: Path
    ) -> None:
        enrol("Zoë", 0, 10)
        report = tmp_path / "report.json"
        assert run("forget", "Zoë", "--report", report).exit_code == 0
        data: dict[str, Any] = json.loads(report.read_text())
        assert (data["name"], data["templates"], data["verified"]) == ("Zoë", 2, True)
        assert data["left"] == []
        assert stat.S_IMODE(report.stat().st_mode) == 0o600
        assert names() == []

    def test_nobody_is_forgotten_without_a_report(
        self, run: Run, enrol: Enrol, tmp_path: Path
    ) -> None:
        enrol("Zoë", 0)
        report = tmp_path / "report.json"
        report.write_text("another one")
        result = run("forget", "Zoë", "--report", report)
        assert result.exit_code == StoreError.exit_code
        assert "nothing was deleted" in result.stderr
        assert report.read_text() == "another one"
        assert run("forget", "Zoë", "--report", tmp_path / "no" / "where").exit_code == 5
        assert names() == ["Zoë"]

    def test_no_empty_report_is_left_where_nothing_was_forgotten(
        self, run: Run, enrol: Enrol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        enrol("Zoë", 0)

        def full(*_: object, **__: object) -> None:
            raise StoreError("lockd.db: database or disk is full")

        monkeypatch.setattr(People, "remove", full)
        assert run("forget", "Zoë", "--report", tmp_path / "report.json").exit_code == 5
        assert list(tmp_path.glob("report*")) == []

    def test_a_report_that_cannot_be_written_is_shown(
        self, run: Run, enrol: Enrol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        enrol("Zoë", 0)

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("lockd.files.os.replace", full)
        result = run("forget", "Zoë", "--report", tmp_path / "report.json")
        assert result.exit_code == 5
        assert "No space left on device; Zoë was removed" in result.stderr
        assert json.loads(result.stdout)["name"] == "Zoë"
        assert names() == []


class TestCheck:
    def kinds(self, run: Run) -> list[tuple[str, str]]:
        result = run("check", "--json")
        findings = json.loads(result.stdout)
        assert result.exit_code == (1 if findings else 0)
        return [(one["kind"], one["person"]) for one in findings]

    def test_who_is_enrolled_well_is_not_mentioned(self, run: Run, enrol: Enrol) -> None:
        enrol("Zoë", 0, 10, 20)
        enrol("Bob", 100, 110, 120)
        assert self.kinds(run) == []
        assert run("check").stdout == "Nothing found.\n"

    def test_few_templates_are_a_finding(self, run: Run, enrol: Enrol) -> None:
        enrol("Zoë", 0, 10)
        assert self.kinds(run) == [("few", "Zoë")]

    def test_one_template_is_not_several(self, run: Run, enrol: Enrol) -> None:
        enrol("Zoë", 0)
        assert "1 usable template; add" in " ".join(run("check", "--json").stdout.split())

    def test_a_template_nearer_to_somebody_else_is_told_by_its_number(
        self, run: Run, enrol: Enrol
    ) -> None:
        enrol("Zoë", 0, 10, 20, 95)
        enrol("Bob", 150, 160, 170)
        findings = json.loads(run("check", "--json").stdout)
        (one,) = [one for one in findings if one["kind"] == "misplaced"]
        assert (one["person"], one["other"]) == ("Zoë", "Bob")
        assert run("drop", "Zoë", one["template"]).stdout == "Zoë: 1 template deleted, 3 left.\n"
        assert self.kinds(run) == []

    def test_a_template_like_no_other_is_weak(self, run: Run, enrol: Enrol) -> None:
        enrol("Zoë", 0, 10, 20, 100)
        assert self.kinds(run) == [("weak", "Zoë")]

    def test_people_too_alike_are_named_both(self, run: Run, enrol: Enrol) -> None:
        enrol("Zoë", 0, 10, 20)
        enrol("Chloë", 75, 85, 95)
        findings = json.loads(run("check", "--json").stdout)
        assert {(one["kind"], one["person"], one["other"]) for one in findings} == {
            ("alike", "Zoë", "Chloë")
        } or {(one["kind"], one["person"], one["other"]) for one in findings} == {
            ("alike", "Chloë", "Zoë")
        }

    def test_templates_of_other_networks_are_told(self, run: Run, enrol: Enrol) -> None:
        enrol("Zoë", 0, 10, model="earlier")
        assert self.kinds(run) == [("outdated", "Zoë"), ("few", "Zoë")]

    def test_a_template_that_is_not_theirs_is_not_dropped(self, run: Run, enrol: Enrol) -> None:
        enrol("Zoë", 0, 10)
        enrol("Bob", 90)
        result = run("drop", "Bob", "1")
        assert result.exit_code == 9
        assert "has no template 1" in result.stderr
        with opened() as store:
            assert len(store.templates.of("Zoë")) == 2

    def test_the_last_template_is_not_dropped(self, run: Run, enrol: Enrol) -> None:
        enrol("Zoë", 0)
        assert run("drop", "Zoë", "1").exit_code == 9


class TestCompletion:
    def completed(self, tmp_path: Path, *words: str) -> str:
        """What bash puts in place of the last word, `|` after each choice."""
        programs = tmp_path / "bin"
        programs.mkdir(exist_ok=True)
        command = programs / "lockd-enroll"
        command.write_text(
            f"#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -c "
            '\'from enroll.cli import main; main(prog_name="lockd-enroll")\' "$@"\n'
        )
        command.chmod(0o755)
        script = (
            'eval "$(_LOCKD_ENROLL_COMPLETE=bash_source lockd-enroll)"; '
            f"COMP_WORDS=(lockd-enroll {' '.join(words)}); COMP_CWORD={len(words)}; "
            '_lockd_enroll_completion lockd-enroll; printf "%s|" "${COMPREPLY[@]}"'
        )
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        return subprocess.run(
            ["bash", "-c", script], env=environment, capture_output=True, text=True, check=True
        ).stdout

    def test_bash_completes_names_from_the_store(self, enrol: Enrol, tmp_path: Path) -> None:
        enrol("Zoë King", 0)
        enrol("Zara O'Hara", 90)
        enrol("Bob", 180)
        assert self.completed(tmp_path, "show", "Z") == "Zara\\ O\\'Hara|Zoë\\ King|"
        assert self.completed(tmp_path, "merge", "Bob", "zo") == "Zoë\\ King|"

    @pytest.mark.thorough
    def test_within_quotes_it_completes_as_these_have_it(
        self, enrol: Enrol, tmp_path: Path
    ) -> None:
        enrol("Zoë King", 0)
        enrol("Zara O'Hara", 90)
        enrol("Anna (at $10)", 180)
        for begun, choices in (
            (r'"Z', "Zara O'Hara|Zoë King|"),
            (r'"Zoë K', "Zoë King|"),
            ("'Zoë K", "Zoë King|"),
            ("'Zara", r"Zara O'\''Hara|"),
            ('"an', r"Anna (at \$10)|"),
        ):
            assert self.completed(tmp_path, "show", shlex.quote(begun)) == choices

    def test_without_a_store_there_is_nothing_to_complete(self, tmp_path: Path) -> None:
        assert self.completed(tmp_path, "show", "Z") == "|"
        assert not Settings().store.path().exists()
