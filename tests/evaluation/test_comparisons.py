"""All pairs, in blocks, against all pairs at once."""

from __future__ import annotations

import numpy as np
import pytest

from lockd.evaluation import comparisons
from lockd.evaluation.comparisons import Greatest, all_pairs, fold_of_people, similarities_of
from lockd.evaluation.metrics import Curve, Units, histogram_of
from lockd.types import Floats


def crowd(people: int = 30, seed: int = 0) -> tuple[Floats, Units]:
    random = np.random.default_rng(seed)
    owner = np.repeat(np.arange(people), random.integers(1, 6, people)).astype(np.int32)
    vectors = random.standard_normal((people, 16))[owner] + random.standard_normal((len(owner), 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), owner


def brute(embeddings: Floats, owner: Units) -> tuple[Floats, Floats]:
    first, second = np.triu_indices(len(owner), 1)
    similarities = similarities_of(embeddings[first], embeddings[second])
    same = owner[first] == owner[second]
    return np.sort(similarities[same]), np.sort(similarities[~same])


@pytest.fixture(params=[7, 1024])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparisons, "BLOCK", request.param)


@pytest.mark.usefixtures("block")
def test_every_pair_is_compared_once() -> None:
    embeddings, owner = crowd()
    fold = fold_of_people(np.bincount(owner).astype(np.int64), 10, 0)
    pairs = all_pairs(embeddings, owner, fold)
    genuine, impostor = brute(embeddings, owner)
    np.testing.assert_allclose(pairs.scores.genuine, genuine, atol=1e-6)
    np.testing.assert_allclose(pairs.scores.impostor, impostor, atol=1e-6)
    assert pairs.scores.impostors == len(impostor)
    assert pairs.scores.histogram is None


@pytest.mark.usefixtures("block")
def test_the_units_of_a_pair_are_its_people() -> None:
    embeddings, owner = crowd()
    pairs = all_pairs(embeddings, owner, np.zeros(30, np.int32)).scores
    for value, (first, second) in list(zip(pairs.impostor, pairs.impostor_units, strict=True))[::9]:
        block = embeddings[owner == first] @ embeddings[owner == second].T
        assert np.abs(block - value).min() < 1e-6
        assert first != second
    for value, (person, nobody) in zip(pairs.genuine, pairs.genuine_units, strict=True):
        own = embeddings[owner == person]
        assert np.abs(own @ own.T - value).min() < 1e-6
        assert nobody == -1


@pytest.mark.usefixtures("block")
def test_with_only_the_greatest_kept_the_rates_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    embeddings, owner = crowd()
    fold = fold_of_people(np.bincount(owner).astype(np.int64), 5, 0)
    exact = Curve(all_pairs(embeddings, owner, fold).scores)
    monkeypatch.setattr(comparisons, "KEPT_LEAST", 50)
    partly = all_pairs(embeddings, owner, fold).scores
    assert len(partly.impostor) == max(50, int(0.02 * partly.impostors))
    curve = Curve(partly)
    for far in (0.001, 0.01):
        assert curve.threshold(far) == exact.threshold(far)
    assert curve.threshold(0.2) == pytest.approx(exact.threshold(0.2), abs=2e-4)


@pytest.mark.usefixtures("block")
def test_the_weight_of_pairs_that_were_not_kept_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, owner = crowd()
    fold = np.zeros(30, np.int32)
    weights = np.random.default_rng(1).multinomial(30, np.full(30, 1 / 30)).astype(np.float64)
    exact = Curve(all_pairs(embeddings, owner, fold).scores, weights)
    monkeypatch.setattr(comparisons, "KEPT_LEAST", 50)
    partly = all_pairs(embeddings, owner, fold).scores
    threshold = float(partly.impostor[10])
    assert Curve(partly, weights).far(threshold) == pytest.approx(exact.far(threshold))


@pytest.mark.usefixtures("block")
def test_the_folds_histograms_are_of_their_people() -> None:
    embeddings, owner = crowd()
    fold = fold_of_people(np.bincount(owner).astype(np.int64), 4, 3)
    pairs = all_pairs(embeddings, owner, fold)
    first, second = np.triu_indices(len(owner), 1)
    similarities = similarities_of(embeddings[first], embeddings[second])
    impostor = owner[first] != owner[second]
    for a in range(4):
        for b in range(4):
            between = {a, b}
            chosen = impostor & np.array(
                [
                    {int(x), int(y)} == between
                    for x, y in zip(fold[owner[first]], fold[owner[second]], strict=True)
                ]
            )
            assert pairs.folds[a, b].sum() == chosen.sum()
            found, expected = pairs.folds[a, b], histogram_of(similarities[chosen])
            assert np.abs(np.cumsum(found) - np.cumsum(expected)).max() <= 2  # rounding at edges


def test_the_greatest_of_many_are_kept_with_their_units() -> None:
    values = np.random.default_rng(2).random(1000).astype(np.float32)
    greatest = Greatest(20)
    for start in range(0, 1000, 50):
        block = values[start : start + 50].reshape(5, 10)
        rows = np.arange(5, dtype=np.int32) + start // 10
        greatest.add(block, rows, np.arange(10, dtype=np.int32), block < 0.99)
    kept, units = greatest.sorted()
    np.testing.assert_array_equal(kept, np.sort(values[values < 0.99])[-20:])
    np.testing.assert_array_equal(values[units[:, 0] * 10 + units[:, 1]], kept)


def test_nothing_is_the_greatest_of_nothing() -> None:
    kept, units = Greatest(5).sorted()
    assert (kept.shape, units.shape) == ((0,), (0, 2))


def test_folds_have_like_numbers_of_people_and_photographs() -> None:
    photographs = np.random.default_rng(0).geometric(0.3, 200).astype(np.int64)
    fold = fold_of_people(photographs, 10, 0)
    assert set(np.bincount(fold)) == {20}
    sizes = np.bincount(fold, weights=photographs)
    assert sizes.max() - sizes.min() < 0.2 * sizes.mean()
    assert (fold_of_people(photographs, 10, 0) == fold).all()
    assert (fold_of_people(photographs, 10, 1) != fold).any()
