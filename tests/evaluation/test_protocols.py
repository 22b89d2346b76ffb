"""The three evaluations, on faces that are plain vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockd.errors import ImageError
from lockd.evaluation import classifiers, splits
from lockd.evaluation.classifiers import CLASSIFIERS
from lockd.evaluation.embeddings import Collection
from lockd.evaluation.identification import identify, open_set
from lockd.evaluation.metrics import FPIRS, Units
from lockd.evaluation.pairs import Pair
from lockd.evaluation.protocols import Resampling
from lockd.evaluation.rules import Answers, door
from lockd.evaluation.splits import SplitPlan
from lockd.evaluation.verification import verify_all, verify_pairs
from lockd.types import Floats

QUICK = Resampling(40)


def crowd(people: int = 40, each: int = 4, spread: float = 0.5, size: int = 32) -> Collection:
    random = np.random.default_rng(7)
    owner = np.repeat(np.arange(people), each).astype(np.int32)
    vectors = random.standard_normal((people, size))[owner]
    vectors = vectors + spread * random.standard_normal(vectors.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    paths = [f"{one:02}/{number}.jpg" for number, one in enumerate(owner)]
    faces = vectors.astype("f4")
    return Collection([f"{one:02}" for one in range(people)], owner, paths, faces, faces)


EASY, HARD = crowd(), crowd(spread=1.4)


def test_people_who_are_far_apart_are_told_apart() -> None:
    found = verify_all(EASY, 0.5, QUICK)
    assert found.genuine_pairs == 40 * 6
    assert found.impostor_pairs == 160 * 159 // 2 - 240
    assert found.accuracy.value > 0.995
    assert found.eer.value < 0.005
    assert len(found.accuracies) == 10


def test_the_harder_the_crowd_the_worse_the_rates() -> None:
    easy, hard = verify_all(EASY, 0.5, QUICK), verify_all(HARD, 0.5, QUICK)
    assert hard.accuracy.value < easy.accuracy.value
    assert hard.eer.value > 0.05
    tars = [one.rate.value for one in hard.points]
    assert tars == sorted(tars, reverse=True)
    assert all(one.rate.low <= one.rate.value <= one.rate.high for one in hard.points)
    assert [one.rests_on for one in hard.points] == [124, 12, 1, 0]


def pairs_of(faces: Collection, count: int = 60) -> list[Pair]:
    random = np.random.default_rng(0)
    pairs = []
    for number in range(count):
        first = int(random.integers(len(faces.paths)))
        same = number % 2 == 0
        others = np.flatnonzero((faces.owner == faces.owner[first]) == same)
        second = int(random.choice(others[others != first]))
        pairs.append(Pair(faces.paths[first], faces.paths[second], same, number * 10 // count))
    return pairs


def test_the_lists_folds_are_used_and_judged_by_the_other_nine() -> None:
    pairs = pairs_of(HARD)
    found = verify_pairs(HARD, pairs, 0.5, QUICK)
    index = {path: number for number, path in enumerate(HARD.paths)}
    similarity = np.array(
        [HARD.embeddings[index[one.first]] @ HARD.embeddings[index[one.second]] for one in pairs]
    )
    same, fold = np.array([one.same for one in pairs]), np.array([one.fold for one in pairs])
    thresholds = np.linspace(-1, 1, 20_001)
    for one in range(10):
        right = (similarity[:, None] >= thresholds) == same[:, None]
        taught = right[fold != one].sum(axis=0)
        best = np.flatnonzero(taught == taught.max())
        chosen = best[len(best) // 2]
        assert found.accuracies[one] == pytest.approx(right[fold == one, chosen].mean())
    assert found.accuracy.value == pytest.approx(np.mean(found.accuracies))


def test_pairs_without_folds_are_dealt_out_alike_in_kind() -> None:
    pairs = [Pair(one.first, one.second, one.same) for one in pairs_of(HARD)]
    pairs.sort(key=lambda one: one.same)
    found = verify_pairs(HARD, pairs, 0.5, QUICK)
    assert len(found.accuracies) == 10
    assert verify_pairs(HARD, pairs, 0.5, QUICK).accuracies == found.accuracies


def test_pairs_with_a_photograph_that_was_left_out_are_not_compared() -> None:
    pairs = [*pairs_of(EASY), Pair("left/out.jpg", EASY.paths[0], True, 0)]
    found = verify_pairs(EASY, pairs, 0.5, QUICK)
    assert found.genuine_pairs + found.impostor_pairs == 60


def test_two_pairs_are_too_few_for_folds() -> None:
    pairs = [pairs_of(EASY)[0], pairs_of(EASY)[1]]
    found = verify_pairs(EASY, [Pair(p.first, p.second, p.same) for p in pairs], 0.5, QUICK)
    assert found.accuracies == []
    assert found.accuracy.value == 1.0
    assert found.accuracy.low < 0.5


def test_a_verification_needs_both_kinds_of_pairs() -> None:
    with pytest.raises(ImageError, match="one pair of one person and one of two"):
        verify_pairs(EASY, [one for one in pairs_of(EASY) if one.same], 0.5, QUICK)
    alone = crowd(people=1)
    with pytest.raises(ImageError, match="two people"):
        verify_all(alone, 0.5, QUICK)
    with pytest.raises(ImageError, match="two of one of them"):
        verify_all(crowd(each=1), 0.5, QUICK)


def test_three_people_are_enough_for_a_verification() -> None:
    assert verify_all(crowd(people=3), 0.5, QUICK).accuracy.value > 0.9


@given(
    st.lists(st.integers(1, 6), min_size=8, max_size=20),
    st.integers(1, 3),
    st.integers(1, 3),
    st.one_of(st.none(), st.integers(1, 3)),
)
@settings(max_examples=40, deadline=None)
def test_nobody_is_a_probe_of_their_own_template_nor_a_stranger_when_enrolled(
    sizes: list[int], people: int, enrolled: int, strangers: int | None
) -> None:
    owner = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    plan = SplitPlan(people, enrolled, 3, strangers=strangers)
    try:
        drawn = list(splits.draws(owner, plan))
    except ImageError:
        assert sum(size > enrolled for size in sizes) < people
        return
    for split in drawn:
        parts = [set(part.tolist()) for part in (split.templates, split.probes, split.strangers)]
        assert sum(len(part) for part in parts) == len(set.union(*parts))
        assert len(split.templates) == people * enrolled
        assert set(owner[split.probes]) == set(owner[split.templates])
        assert not set(owner[split.strangers]) & set(owner[split.templates])
        if strangers is not None:
            assert len(set(owner[split.strangers])) == strangers


def test_the_same_seed_draws_the_same_people() -> None:
    plan = SplitPlan(5, 2, 3, seed=1)
    first, second = (list(splits.draws(EASY.owner, plan)) for _ in range(2))
    other = list(splits.draws(EASY.owner, SplitPlan(5, 2, 3, seed=2)))
    assert [a.templates.tolist() for a in first] == [b.templates.tolist() for b in second]
    assert [a.templates.tolist() for a in first] != [b.templates.tolist() for b in other]


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (SplitPlan(41, 1, 1), "only 40 people have 2 photographs or more"),
        (SplitPlan(2, 4, 1), "only 0 people have 5 photographs or more"),
        (SplitPlan(30, 1, 1, strangers=11), "10 people are left besides the 30 enrolled"),
        (SplitPlan(40, 1, 1, strangers=None), "nobody is left for a stranger"),
    ],
)
def test_too_few_people_are_said_so(plan: SplitPlan, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        list(splits.draws(EASY.owner, plan))


def test_the_door_names_who_is_near_and_alone() -> None:
    templates = np.eye(3, dtype=np.float32)
    owner = np.array([4, 7, 9], np.int32)
    probes = np.array([[1, 0, 0], [0.8, 0.6, 0], [0.71, 0.7, 0], [0.4, 0.3, 0.3]], np.float32)
    answers = door(0.6, 0.05)(templates, owner, probes)
    assert answers.nearest.tolist() == [4, 4, 4, 4]
    assert answers.named.tolist() == [True, True, False, False]
    assert answers.alone.tolist() == [True, True, False, True]
    assert answers.with_margin()[2] < -1.0


def test_closed_set_identification_counts_the_nearest_person() -> None:
    plan = SplitPlan(20, 1, 10, probes=1)
    rules = {"lockd": door(0.5, 0.05), "nearest": CLASSIFIERS["nearest"]}
    found = identify(HARD, plan, rules, QUICK)
    assert found.probes == 200
    assert found.top1["lockd"] == found.top1["nearest"]  # thresholds play no part
    assert found.draws["lockd"].mean() == pytest.approx(found.top1["lockd"].value)
    assert identify(EASY, plan, rules, QUICK).top1["lockd"].value == 1.0


def test_with_strangers_the_rates_are_those_counted_by_hand() -> None:
    rule = door(0.35, 0.02)
    plan = SplitPlan(10, 2, 4, strangers=None)
    found = open_set(HARD, plan, {"lockd": rule}, QUICK).rules["lockd"]
    wrong = let_in = misnamed = 0
    strangers, genuine = [], []
    for split in splits.draws(HARD.owner, plan):
        templates, owner = HARD.embeddings[split.templates], HARD.owner[split.templates]
        for probe in split.probes:
            answer = rule(templates, owner, HARD.embeddings[[probe]])
            right = answer.nearest[0] == HARD.owner[probe]
            wrong += not (right and answer.named[0])
            misnamed += bool(answer.named[0] and not right)
            genuine.append(answer.confidence[0] if right else -9.0)
        for probe in split.strangers:
            answer = rule(templates, owner, HARD.embeddings[[probe]])
            let_in += bool(answer.named[0])
            strangers.append(answer.confidence[0])
    assert found.fnir.value == pytest.approx(wrong / len(genuine))
    assert found.misnamed.value == pytest.approx(misnamed / len(genuine))
    assert found.fpir.value == pytest.approx(let_in / len(strangers))
    assert 0 < found.fpir.value < 1
    for point in found.points:
        accepted = np.mean(np.array(strangers) >= np.float32(point.threshold))
        assert accepted <= point.at
        missed = np.mean(~(np.array(genuine) >= np.float32(point.threshold)))
        assert point.rate.value == pytest.approx(missed)
    assert [one.at for one in found.points] == list(FPIRS)
    assert found.with_margin


@pytest.mark.parametrize("name", sorted(CLASSIFIERS))
def test_a_classifier_without_a_threshold_has_a_name_for_every_stranger(name: str) -> None:
    found = open_set(EASY, SplitPlan(8, 2, 2, strangers=None), {name: CLASSIFIERS[name]}, QUICK)
    answered = found.rules[name]
    assert answered.fpir.value == 1.0
    assert answered.fnir.value < 0.1
    assert answered.with_margin == []


@pytest.mark.parametrize("people", [1, 2, 5])
@pytest.mark.parametrize("name", sorted(CLASSIFIERS))
def test_a_classifier_knows_those_it_was_taught(name: str, people: int) -> None:
    some = EASY.owner < people
    answers = CLASSIFIERS[name](EASY.embeddings[some], EASY.owner[some], EASY.embeddings[some])
    assert (answers.nearest == EASY.owner[some]).all()
    assert (np.abs(answers.confidence) <= 1.0 + 1e-6).all()
    assert answers.named.all()


def test_a_classifier_that_is_not_installed_is_named_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import sys

    from lockd.errors import LockdError

    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(LockdError, match=r"pip install 'lockd\[evaluate\]'"):
        classifiers.check("svm")
    classifiers.check("nearest")


def test_thresholds_by_classifier_are_of_its_own_confidence() -> None:
    def constant(templates: Floats, owner: Units, probes: Floats) -> Answers:
        every = np.ones(len(probes), bool)
        return Answers(
            np.full(len(probes), owner[0]),
            np.full(len(probes), 0.5, np.float32),
            every,
            every,
            ~every,
            ~every,
        )

    found = open_set(EASY, SplitPlan(3, 1, 2, strangers=None), {"same": constant}, QUICK)
    # Who says the same of everybody refuses all to refuse one.
    assert [one.rate.value for one in found.rules["same"].points] == [1.0] * 3
