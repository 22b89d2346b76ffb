"""Enrolling real photographs: what is refused for who it shows, and what else is said with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from enroll.cli import main
from enroll.outcomes import table
from enroll.people import Candidate, Enroller, EnrolmentOutcome, Terms
from lockd.adapters.store import Details
from lockd.config import Settings
from lockd.recognition.photographs import template_of
from lockd.recognition.recogniser import Vision
from tests.conftest import PEOPLE, SCENES
from tests.enroll.conftest import Enrol, opened
from tests.enroll.faces import at, kept
from tests.invoking import Run
from tests.pictures import BIDEN_ENROLLED, COLLINS, OBAMA, OBAMA_ENROLLED, OBAMA_ENROLLED_TOO, read


def added(run: Run, *arguments: object) -> dict[str, Any]:
    """What became of one person's photographs."""
    (outcome,) = json.loads(run("add", *arguments, "--json").stdout)
    return dict(outcome)


def reasons(outcome: dict[str, Any]) -> list[tuple[str, str]]:
    return [(Path(one["picture"]).name, one["reason"]) for one in outcome["refused"]]


def templates() -> dict[str, int]:
    with opened() as store:
        return {one.person.name: one.templates for one in store.people.all()}


def test_a_name_may_come_from_standard_input_so_that_no_list_of_processes_shows_it() -> None:
    arguments = ["add", "-", str(OBAMA_ENROLLED)]
    result = CliRunner().invoke(main, arguments, input="Zoë Müller\nnot this\n".encode())
    assert result.exit_code == 0, result.output
    assert templates() == {"Zoë Müller": 1}
    assert CliRunner().invoke(main, arguments, input="\n").exit_code == 9


class TestWhoItShows:
    def test_a_photograph_of_somebody_else_among_theirs_is_refused(self, run: Run) -> None:
        outcome = added(run, "Barack", OBAMA_ENROLLED, COLLINS, OBAMA_ENROLLED_TOO)
        assert reasons(outcome) == [(COLLINS.name, "not_the_same_person")]
        assert templates() == {"Barack": 2}

    def test_a_photograph_of_somebody_else_is_refused_later_too(self, run: Run) -> None:
        run("add", "Barack", OBAMA_ENROLLED)
        result = run("add", "Barack", COLLINS)
        assert result.exit_code == 8
        assert "not the same person as the other pictures" in result.stderr
        assert "leave it out" in result.stderr
        assert templates() == {"Barack": 1}

    def test_somebody_enrolled_under_another_name_is_named(self, run: Run) -> None:
        run("add", "Barack", OBAMA_ENROLLED)
        result = run("add", "Bob", OBAMA)
        assert result.exit_code == 8
        assert "too like Barack, who is enrolled" in result.stderr
        assert templates() == {"Barack": 1}

    def test_so_is_somebody_disabled(self, run: Run) -> None:
        run("add", "Barack", OBAMA_ENROLLED)
        run("disable", "Barack")
        assert reasons(added(run, "Bob", OBAMA)) == [(OBAMA.name, "too_like_somebody_else")]

    def test_a_folder_is_judged_by_who_came_before_in_it(self, run: Run, tmp_path: Path) -> None:
        for name, path in (("Ann", OBAMA_ENROLLED), ("Bob", OBAMA), ("Joe", BIDEN_ENROLLED)):
            (tmp_path / name).mkdir()
            shutil.copy(path, tmp_path / name)
        assert run("folder", tmp_path).exit_code == 8
        assert templates() == {"Ann": 1, "Joe": 1}

    def test_anyway_they_are_enrolled_and_the_reason_is_kept_without_a_name(self, run: Run) -> None:
        run("add", "Barack", OBAMA_ENROLLED)
        assert run("add", "Bob", OBAMA, "--anyway", "twins").exit_code == 0
        with opened() as store:
            id_ = store.people.named("Barack").person.id
            assert store.audit.latest(1)[0].note == f"anyway: twins (too like {id_})"

    def test_a_bad_picture_stays_bad_anyway(self, run: Run) -> None:
        outcome = added(run, "Cat", SCENES / "cat.jpg", "--anyway", "my cat")
        assert reasons(outcome) == [("cat.jpg", "no_face")]

    def test_anyway_needs_a_reason(self, run: Run) -> None:
        assert run("add", "Bob", OBAMA, "--anyway", " ").exit_code == 2


class TestRepeated:
    def test_a_folder_can_be_enrolled_again(self, run: Run) -> None:
        run("folder", PEOPLE)
        result = run("folder", PEOPLE)
        assert result.exit_code == 0
        assert "Barack Obama: 0 enrolled, 0 refused, 2 enrolled already" in result.stdout
        assert templates() == {"Barack Obama": 2, "Joe Biden": 1}

    def test_what_is_said_beside_known_photographs_still_counts(self, run: Run) -> None:
        run("add", "Joe", BIDEN_ENROLLED)
        run("add", "Joe", BIDEN_ENROLLED, "--valid-until", "2027-01-01", "--note", "guest")
        with opened() as store:
            one = store.people.named("Joe")
        assert (one.person.valid_until, one.details.notes) == ("2027-01-01", "guest")

    def test_templates_of_other_networks_go_though_no_photograph_is_new(
        self, run: Run, enrol: Enrol
    ) -> None:
        enrol("Joe Biden", 0, 10, model="earlier")
        run("add", "Joe Biden", BIDEN_ENROLLED)
        assert templates() == {"Joe Biden": 3}
        assert run("re-embed", PEOPLE).exit_code == 0
        assert templates() == {"Joe Biden": 1}


class TestDetails:
    def test_they_come_with_the_photographs_and_stay(self, run: Run) -> None:
        options = ("--external-id", "B-17", "--consent-by", "Ann", "--consent-date", "2026-11-01")
        run("add", "Barack", OBAMA_ENROLLED, *options)
        run("add", "Barack", OBAMA_ENROLLED_TOO, "--note", "works at night")
        with opened() as store:
            assert store.people.named("Barack").details == Details(
                "B-17", "works at night", "Ann", "2026-11-01"
            )

    def test_an_external_id_is_one_persons(self, run: Run) -> None:
        assert run("folder", PEOPLE, "--external-id", "B-17").exit_code == 2
        run("add", "Barack", OBAMA_ENROLLED, "--external-id", "B-17")
        result = run("add", "Joe", BIDEN_ENROLLED, "--external-id", "B-17")
        assert result.exit_code == 9
        assert templates() == {"Barack": 1}

    def test_photographs_are_kept_only_where_asked_for_and_without_what_the_camera_noted(
        self, run: Run, tmp_path: Path
    ) -> None:
        run("add", "Joe", BIDEN_ENROLLED)
        config = tmp_path / "lockd.yaml"
        config.write_text("store: {keep_photographs: true}\n")
        run("add", "Barack", OBAMA_ENROLLED, "--config", config)
        with opened() as store:
            assert store.templates.photographs("Joe") == {}
            (kept,) = store.templates.photographs("Barack").values()
        assert kept.startswith(b"\xff\xd8")
        assert b"Exif" not in kept


class TestTheMost:
    def test_the_most_varied_are_kept_and_the_others_told(
        self, run: Run, enrol: Enrol, vision: Vision
    ) -> None:
        enrol("Ada", *range(0, 38, 2))  # 19 of them
        with opened() as store:
            enroller = Enroller(Settings(), store)
            space = vision.embedder.space
            pictures = kept(space, at(60, 61, 62, size=space.size))
            candidates = [Candidate(str(place), one) for place, one in enumerate(pictures)]
            outcome = enroller.enrol(EnrolmentOutcome("Ada"), candidates, Terms())
            assert (outcome.accepted, outcome.templates, outcome.left_out) == (3, 20, 2)
            assert len(store.templates.of("Ada")) == 20


class TestCandidates:
    def test_a_frame_of_a_camera_gives_the_template_of_its_photograph(
        self, run: Run, vision: Vision
    ) -> None:
        with opened() as store:
            candidate = Enroller(Settings(), store).candidate(read(OBAMA), "frame 1")
        expected = template_of(OBAMA, vision, Settings().quality.limits())
        space = vision.embedder.space
        compared = space.brought(space.model, candidate.embedding)
        assert compared is not None
        assert float(compared @ expected) > 0.999
        assert (candidate.label, candidate.picture) == ("frame 1", None)


class TestTable:
    @pytest.mark.parametrize(("people", "rows"), [(1, 3), (2, 2)])
    def test_of_one_person_everything_is_told_of_many_what_was_refused(
        self, run: Run, people: int, rows: int
    ) -> None:
        with opened() as store:
            enroller = Enroller(Settings(), store)
            photos = [OBAMA_ENROLLED, SCENES / "cat.jpg", OBAMA_ENROLLED_TOO]
            outcomes = [enroller.add("Barack", photos, lambda: None)]
            if people == 2:
                outcomes.append(enroller.add("Joe", [SCENES / "cat.jpg"], lambda: None))
        assert table(outcomes).row_count == rows
