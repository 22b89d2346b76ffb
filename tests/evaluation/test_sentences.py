"""What an evaluation means to whoever owns the door: never more than was seen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lockd.evaluation import sentences
from lockd.evaluation.calibration import Enrolled, gauge
from lockd.evaluation.identification import Answered
from lockd.evaluation.intervals import Rate
from lockd.types import Floats
from tests.fakes import unit

EXACT, NEVER = Rate(0.001, 0.001, 0.001), Rate(0.0, 0.0, 0.0)


def answered(fpir: Rate, fnir: Rate, misnamed: Rate = NEVER) -> Answered:
    nothing = np.empty(0)
    return Answered([], [], fpir, fnir, misnamed, fpir, 0, nothing, (nothing, nothing))  # type: ignore[arg-type]


def test_of_a_thousand_strangers_and_a_thousand_visits() -> None:
    said = sentences.open_set(answered(EXACT, Rate(0.004, 0.003, 0.0042)))
    assert said.startswith(
        "Of 1,000 strangers who look into the camera, about 1 would be let in; of 1,000 visits of "
        "your people, about 4 (at most 5) would have to look twice, at most 0 of them taken for "
        "somebody else (FPIR 0.10 %, FNIR 0.40 %)."
    )


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (Rate(0.0, 0.0, 0.0119), "at most 12 would be let in"),
        (Rate(0.0002, 0.0, 0.0009), "at most 1 would be let in"),
        (Rate(0.05, 0.02, 0.11), "about 50 (at most 110) would be let in"),
        (Rate(1.0, 0.9, 1.0), "about 1,000 would be let in"),
        (Rate(math.nan, math.nan, math.nan), "nobody knows how many would be let in"),
    ],
)
def test_what_was_seldom_seen_is_told_with_the_most_that_it_may_be(rate: Rate, said: str) -> None:
    assert said in sentences.open_set(answered(rate, EXACT))


def of(*embeddings: Floats, owner: list[int]) -> Enrolled:
    names = [f"person {number}" for number in range(max(owner) + 1)]
    labels = [str(number) for number in range(len(owner))]
    return Enrolled(names, np.array(owner, np.int32), labels, np.stack(embeddings))


def test_strangers_are_counted_at_the_threshold() -> None:
    people = of(unit(1), unit(1, 0.1), unit(1, 3), owner=[0, 0, 0])
    strangers = np.stack([unit(1, 0.2)] + [unit(0, 0, 1)] * 199)
    said = sentences.calibration(gauge(people, strangers), 0.9)
    assert "about 5 (at most 28) would be let in" in said
    assert "(seen: 1 of 200 looks of strangers, 1 of 3 of your people; so few" in said


def test_without_strangers_your_people_stand_before_each_others_doors() -> None:
    people = of(unit(1), unit(1, 0.1), unit(0, 1), unit(1, 0.2), owner=[0, 0, 1, 2])
    said = sentences.calibration(gauge(people), 0.9)
    assert "(seen: 3 of 4 looks of strangers, 0 of 2 of your people; so few" in said


def test_nothing_is_said_of_what_was_not_measured() -> None:
    said = sentences.calibration(gauge(of(unit(1), owner=[0])), 0.9)
    assert said.startswith("of strangers nothing was measured; of your people nothing was measured")
    assert "0 of 0" in said
