"""A gallery after many changes is the one that would be built afresh."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest

from lockd.identity.gallery import Faces, Gallery, Template
from lockd.identity.variety import most_varied
from lockd.types import Embedding, Person
from tests.fakes import ADA, GRACE, unit

SIZE = 8


def faces(templates: dict[Person, list[Embedding]]) -> Faces:
    rows = [(person.id, one) for person, some in templates.items() for one in some]
    matrix = np.array([one for _, one in rows], np.float32).reshape(-1, SIZE)
    return Faces.of_rows({one.id: one for one in templates}, [own for own, _ in rows], matrix)


def somebody(dice: random.Random, number: int) -> Person:
    return Person(f"{number:02}", dice.choice(["Ada", "Grace"]))


def some_vectors(dice: random.Random) -> list[Embedding]:
    return [unit(*(dice.gauss(0, 1) for _ in range(SIZE))) for _ in range(dice.randrange(1, 5))]


@pytest.mark.parametrize("seed", range(10))
def test_however_it_came_about_it_knows_the_same_people(seed: int) -> None:
    dice = random.Random(seed)
    gallery, enrolled = Gallery((), SIZE), dict[str, tuple[Person, list[Embedding]]]()
    for _ in range(40):
        ids = dice.sample(range(30), dice.choice([0, 0, 1, 1, 1, 2, 12]))
        changed = {somebody(dice, number): some_vectors(dice) for number in ids}
        gone = set(dice.sample(sorted(enrolled), min(len(enrolled), dice.choice([0, 1, 3]))))
        gallery = gallery.updated(faces(changed), gone)
        enrolled = {name: one for name, one in enrolled.items() if name not in gone}
        enrolled |= {person.id: (person, vectors) for person, vectors in changed.items()}

        afresh = Gallery([Template(p, one) for p, some in enrolled.values() for one in some], SIZE)
        people = [one for _, (one, _) in sorted(enrolled.items())]
        assert afresh.people == people
        assert sorted(gallery.people, key=lambda one: one.id) == people
        assert len(gallery) == len(afresh) == sum(len(some) for _, some in enrolled.values())
        assert {part.faces.matrix.dtype for part in gallery.parts} <= {np.dtype(np.float32)}
        sizes = [len(part.faces) for part in gallery.parts]
        assert all(first >= 2 * second for first, second in pairwise(sizes))
        assert sum(sizes) <= 10 * max(1, len(gallery)), "people who left are kept"
        for probe in some_vectors(dice):
            found = gallery.identify(probe, accept=0.3, margin=0.01)
            expected = afresh.identify(probe, accept=0.3, margin=0.01)
            assert found.person == expected.person
            assert found.nearest == expected.nearest
            assert found.ambiguous == expected.ambiguous
            close = pytest.approx([expected.similarity, expected.runner_up], abs=1e-6, nan_ok=True)
            assert [found.similarity, found.runner_up] == close


def test_whoever_left_is_recognised_no_more_and_a_new_face_replaces_the_old() -> None:
    gallery = Gallery([Template(ADA, unit(1)), Template(GRACE, unit(0, 1))], SIZE)
    without = gallery.updated(faces({}), {ADA.id})
    assert without.people == [GRACE]
    assert without.identify(unit(1), accept=0.5, margin=0.1).person is None
    changed = gallery.updated(faces({ADA: [unit(0, 0, 1)]}), ())
    assert changed.identify(unit(1), accept=0.5, margin=0.1).person is None
    assert changed.identify(unit(0, 0, 1), accept=0.5, margin=0.1).person == ADA
    assert gallery.identify(unit(1), accept=0.5, margin=0.1).person == ADA


def test_of_people_who_are_equally_near_the_one_of_the_least_id_counts() -> None:
    gallery = Gallery([Template(GRACE, unit(1))], SIZE)
    for one in (gallery.updated(faces({ADA: [unit(1)]}), ()), gallery):
        match = one.identify(unit(1), accept=0.5, margin=0.0)
        assert match.person == min(one.people, key=lambda person: person.id)


def test_a_change_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="templates of length 8, not 16"):
        Gallery((), 16).updated(faces({ADA: [unit(1)]}), ())


def test_rows_that_are_not_used_belong_to_nobody() -> None:
    matrix = np.array([unit(1), unit(0, 1), unit(0, 0, 1), unit(1, 1)], np.float32)
    found = Faces.of_rows({"1": ADA, "2": GRACE}, ["1", None, "1", "2"], matrix)
    assert [(one.person, one.embedding.tolist()) for one in found] == [
        (ADA, unit(1).tolist()),
        (ADA, unit(0, 0, 1).tolist()),
        (GRACE, unit(1, 1).tolist()),
    ]
    assert found.lengths().tolist() == [2, 1]
    only = found.only(np.array([False, True]))
    assert [(one.person, one.embedding.tolist()) for one in only] == [(GRACE, unit(1, 1).tolist())]


class TestTheMostVaried:
    def test_the_most_typical_comes_first_and_then_whoever_is_least_like_those_chosen(self) -> None:
        looks = [unit(0, 1), unit(1, 0.1), unit(1), unit(1, 0.2), unit(0, 0, 1)]
        assert most_varied(looks, 1) == [3]
        assert most_varied(looks, 2) == [3, 4]
        assert most_varied(looks, 3) == [0, 3, 4]
        assert most_varied(looks, 4) == [0, 2, 3, 4]

    def test_each_one_more_is_the_one_least_like_those_already_chosen(self) -> None:
        dice = random.Random(1)
        apart = [[dice.gauss(0, 1) for _ in range(SIZE)] for _ in range(6)]
        looks = [unit(*(x + dice.gauss(0, 0.1) for x in one)) for one in apart for _ in range(2)]
        for keep in range(1, 11):
            chosen, more = set(most_varied(looks, keep)), set(most_varied(looks, keep + 1))
            (added,) = more - chosen
            likeness = {
                i: max(float(looks[i] @ looks[j]) for j in chosen) for i in set(range(12)) - chosen
            }
            assert likeness[added] == pytest.approx(min(likeness.values()))

    @pytest.mark.parametrize("keep", [5, 6])
    def test_nothing_is_left_out_of_few(self, keep: int) -> None:
        assert most_varied([unit(1)] * 5, keep) == [0, 1, 2, 3, 4]

    def test_of_equal_ones_the_first_counts_and_none_comes_twice(self) -> None:
        assert most_varied([unit(1)] * 5, 3) == [0, 1, 2]
        assert most_varied([unit(1)] * 5, 0) == []
