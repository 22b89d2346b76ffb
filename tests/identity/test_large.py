"""Levels in the place of templates: a quarter of the memory, and the same answers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockd.identity import large
from lockd.identity.gallery import Faces, Gallery
from lockd.identity.large import LargeFaces, LevelsOf
from lockd.types import Floats, Person

SIZE = 32
ACCEPT, MARGIN = 0.5, 0.05
NEAR = 1e-5  # what single precision rounds when it adds in another order


def units(rows: Floats) -> Floats:
    made: Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return made


def faces(people: int, each: int, seed: int, spread: float = 0.5, base: int = 0) -> Faces:
    """People of some templates each, which are like each other."""
    chance = np.random.default_rng(seed)
    centres = np.repeat(chance.normal(size=(people, SIZE)), each, axis=0)
    matrix = units((centres + spread * chance.normal(size=centres.shape)).astype(np.float32))
    named = [Person(f"{base + one:08d}", f"Person {base + one}") for one in range(people)]
    return Faces(named, np.arange(people) * each, matrix)


def compacted(small: Faces, missing: Sequence[str] = ()) -> LargeFaces:
    ends = np.append(small.starts[1:], len(small))
    rows = {
        one.id: small.matrix[start:end]
        for one, start, end in zip(small.people, small.starts, ends, strict=True)
    }
    kept = LevelsOf(len(small), small.size)
    for start in range(0, len(small), 7):
        places = np.arange(start, min(len(small), start + 7))
        kept.put(places, small.matrix[places])
    return LargeFaces(
        small.people,
        small.starts,
        kept,
        lambda id_, which, count: None if id_ in missing else taken(rows[id_], which, count),
    )


def taken(own: Floats, which: Sequence[int], count: int) -> Floats:
    assert len(own) == count
    assert 0 <= min(which) <= max(which) < count
    return own[list(which)]


def galleries(small: Faces, gone: Sequence[str] = ()) -> tuple[Gallery, Gallery]:
    whole = Gallery((), SIZE).updated(small, ())
    levels = Gallery((), SIZE).updated(compacted(small), ())
    return whole.updated(faces(0, 1, 0), gone), levels.updated(faces(0, 1, 0), gone)


def probes(small: Faces, seed: int) -> Floats:
    """Some of somebody, near or far; some of nobody; some between two."""
    chance = np.random.default_rng(seed)
    picks = small.matrix[chance.integers(0, len(small), 12)]
    noise = chance.normal(size=picks.shape) * chance.uniform(0, 0.4, size=(12, 1))
    between = picks[:6] + picks[6:]
    return units(np.concatenate([picks + noise, between, chance.normal(size=(6, SIZE))]))


def agree(whole: Gallery, levels: Gallery, probe: Floats) -> None:
    for accept in (ACCEPT, 0.0):
        a = whole.identify(probe, accept=accept, margin=MARGIN)
        b = levels.identify(probe, accept=accept, margin=MARGIN)
        assert a.similarity == pytest.approx(b.similarity, abs=NEAR)
        assert a.runner_up == pytest.approx(b.runner_up, abs=NEAR, nan_ok=True)
        if a.similarity - a.runner_up > NEAR or math.isnan(a.runner_up):
            assert a.nearest == b.nearest
        close = abs(a.similarity - accept), abs(a.similarity - a.runner_up - MARGIN)
        if min(close) > NEAR:  # else it is a matter of rounding
            assert (a.person, a.ambiguous) == (b.person, b.ambiguous)


@settings(max_examples=30)
@given(
    st.integers(1, 120), st.integers(1, 8), st.integers(0, 2**32), st.sampled_from([1, 3, 16, 256])
)
def test_no_answer_differs_from_that_of_a_search_through_everything(
    people: int, each: int, seed: int, first: int
) -> None:
    small = faces(people, each, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "FIRST_LOOK", first)
        gone = [one.id for one in small.people[: people // 3]]
        for left in ([], gone):
            whole, levels = galleries(small, left)
            assert len(whole) == len(levels)
            for probe in probes(small, seed):
                agree(whole, levels, probe)


@settings(max_examples=15)
@given(st.integers(2, 60), st.integers(0, 2**32))
def test_who_was_added_since_is_found_as_well(people: int, seed: int) -> None:
    small, more = faces(people, 3, seed), faces(people, 3, seed + 1, base=1000)
    whole, levels = galleries(small)
    rows = {one.id: more.matrix[3 * at : 3 * at + 3] for at, one in enumerate(more.people)}
    (part,) = levels.parts
    assert isinstance(part.faces, LargeFaces)
    known = part.faces.exact
    both = LargeFaces(
        part.faces.people,
        part.faces.starts,
        part.faces.kept,
        lambda id_, which, count: (
            rows[id_][list(which)] if id_ in rows else known(id_, which, count)
        ),
    )
    levels = Gallery((), SIZE).updated(both, ())
    whole, levels = whole.updated(more, ()), levels.updated(more, ())
    assert any(isinstance(part.faces, LargeFaces) for part in levels.parts)
    for probe in (*probes(small, seed), *probes(more, seed)):
        agree(whole, levels, probe)


@settings(max_examples=15)
@given(st.integers(2, 60), st.integers(0, 2**32), st.sampled_from([1, 16, 256]))
def test_by_first_numbers_nobody_is_let_off_whom_all_of_them_would_name(
    people: int, seed: int, first: int
) -> None:
    small = faces(people, 3, seed)
    whole, levels = galleries(small)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "FIRST_LOOK", first)
        for probe in probes(small, seed):
            named = whole.identify(probe, accept=ACCEPT, margin=MARGIN)
            screened = levels.screen(probe[: SIZE // 2], accept=ACCEPT)
            if screened is not None:
                assert named.similarity < ACCEPT
                assert screened.similarity >= named.similarity - NEAR
            for one in small.people[:3]:
                still = levels.still(one, probe[: SIZE // 2], alone=0.6, accept=ACCEPT)
                if still is not None:
                    assert whole.still(one, probe[: SIZE // 2], alone=0.6, accept=ACCEPT)


def test_whose_templates_cannot_be_had_counts_for_as_little_as_can_be() -> None:
    small = faces(50, 3, 1, spread=0.1)
    whole, _ = galleries(small)
    everybody = [one.id for one in small.people]
    levels = Gallery((), SIZE).updated(compacted(small, everybody), ())
    probe = small.matrix[0]
    exact = whole.identify(probe, accept=ACCEPT, margin=MARGIN)
    about = levels.identify(probe, accept=ACCEPT, margin=MARGIN)
    assert about.person == exact.person
    assert exact.similarity - 0.1 < about.similarity <= exact.similarity
    assert about.runner_up >= exact.runner_up
    strict = levels.identify(probe, accept=about.similarity + 1e-3, margin=MARGIN)
    assert strict.person is None


@pytest.mark.parametrize("missing", [0, 1])
def test_a_twin_whose_templates_cannot_be_had_keeps_the_other_from_being_named(
    missing: int,
) -> None:
    """Two so near each other that levels do not tell them apart."""
    chance = np.random.default_rng(5)
    twin = units(chance.normal(size=(1, SIZE)).astype(np.float32))
    near = units(twin + np.float32(1e-4) * chance.normal(size=(1, SIZE)).astype(np.float32))
    people = [Person("a", "A"), Person("b", "B")]
    both = Faces(people, np.arange(2), np.concatenate([twin, near]))
    levels = Gallery((), SIZE).updated(compacted(both, [people[missing].id]), ())
    match = levels.identify(both.matrix[0], accept=ACCEPT, margin=0.0)
    assert match.person is None
    assert match.ambiguous


def test_whose_templates_are_gone_is_nobody() -> None:
    small = faces(50, 3, 1)
    kept = compacted(small)
    none = np.empty((0, SIZE), np.float32)
    levels = Gallery((), SIZE).updated(
        LargeFaces(kept.people, kept.starts, kept.kept, lambda *_: none), ()
    )
    assert levels.identify(small.matrix[0], accept=ACCEPT, margin=MARGIN).person is None


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_number_matches_nobody(bad: float) -> None:
    _, levels = galleries(faces(20, 3, 1))
    probe = np.full(SIZE, bad, np.float32)
    assert levels.identify(probe, accept=ACCEPT, margin=MARGIN).person is None


def test_levels_take_a_quarter_of_the_memory() -> None:
    small = faces(1000, 5, 1)
    kept = compacted(small).kept
    assert 4 * kept.levels.nbytes == small.matrix.nbytes


def test_a_template_out_of_the_scale_of_the_first_is_within_the_error() -> None:
    small = faces(40, 2, 3)
    peak = np.zeros((1, SIZE), np.float32)
    peak[0, 0] = 1.0
    odd = Faces(
        [*small.people, Person("99999999", "Peak")],
        np.append(small.starts, len(small)),
        np.concatenate([small.matrix, peak]),
    )
    kept = compacted(odd).kept
    off = np.linalg.norm(odd.matrix - kept.scale.numbers(kept.levels), axis=1)
    assert off.max() <= kept.error + 1e-6
    whole, levels = galleries(odd)
    for probe in (*probes(small, 1), peak[0]):
        agree(whole, levels, probe)
