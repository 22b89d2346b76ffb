"""What a door learns of the liveness network's scores, and from whom."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lockd.adapters.store import Store, Vault
from lockd.config import parse
from lockd.errors import StoreError
from lockd.identity.liveness import LEAST_RECENT, LEAST_SCORES, MOST_RECENT, Bounds, Standing
from lockd.messages import EventType
from lockd.service.live_scores import LONGEST_VOUCH_S, LiveScores
from lockd.service.liveness_requests import LivenessRequests

BOUNDS = Bounds(0.5, 0.02)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    path = tmp_path / "lockd.db"
    opened = Store.open(path, Vault.beside(path))
    yield opened
    opened.close()


def taught(count: int = LEAST_SCORES, fingerprint: str = "networks") -> LiveScores:
    scores = LiveScores(fingerprint)
    for one in range(count):
        scores.passed(float(one), 0.0)
    return scores


def again(store: Store, fingerprint: str = "networks") -> LiveScores:
    scores = LiveScores(fingerprint)
    scores.serve(store, 0.0)
    return scores


def test_a_hundred_visits_that_passed_calibrate_the_door() -> None:
    assert taught(LEAST_SCORES - 1).standing(1e6, BOUNDS, 0.0) is Standing.UNKNOWN
    assert taught().standing(1e6, BOUNDS, 0.0) is Standing.LIVE


def test_once_calibrated_it_learns_no_more_from_those_whom_it_challenges() -> None:
    # They are the doubtful ones: learning from them would lower what opens.
    scores = taught()
    before = scores.calibration
    for _ in range(1000):
        scores.passed(-100.0, 0.0)
    assert scores.calibration == before


def test_what_opened_silently_teaches_nothing() -> None:
    scores = taught()
    before = scores.calibration
    for _ in range(1000):
        scores.let_in(-100.0)
        scores.came(-100.0, 0.0)
    assert scores.calibration == before


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_teaches_nothing(score: float) -> None:
    scores = taught(LEAST_SCORES - 1)
    scores.passed(score, 0.0)
    scores.let_in(score)
    assert not scores.calibration.complete
    assert scores.status(BOUNDS, 0.0)["recent"] == 0


def test_while_somebody_vouches_nobody_is_live_silently_and_everybody_teaches() -> None:
    scores = taught()
    scores.vouch(60.0, 0.0)
    assert scores.standing(1e6, BOUNDS, 59.9) is Standing.UNKNOWN
    for one in range(LEAST_SCORES):
        scores.came(1000.0 + one, 59.9)
    assert scores.standing(999.0, BOUNDS, 60.1) is Standing.SUSPECT
    scores.came(0.0, 60.1)
    assert min(scores.calibration.scores) == 1000.0


def test_a_calibration_that_was_not_finished_leaves_the_one_before() -> None:
    scores = taught()
    scores.vouch(60.0, 0.0)
    scores.came(1e6, 1.0)
    assert scores.standing(99.0, BOUNDS, 61.0) is Standing.LIVE


def test_vouching_ends_by_itself() -> None:
    scores = taught()
    scores.vouch(1e9, 0.0)
    assert scores.status(BOUNDS, 0.0)["vouching_s"] == LONGEST_VOUCH_S


def test_what_was_learnt_outlives_a_restart(store: Store) -> None:
    scores = taught()
    scores.serve(store, 0.0)
    scores.let_in(5.0)
    scores.close(store)
    after = again(store)
    assert after.calibration == scores.calibration
    assert after.status(BOUNDS, 0.0)["recent"] == 1


def test_what_was_half_learnt_outlives_a_restart_too(store: Store) -> None:
    taught(40).close(store)
    scores = again(store)
    for one in range(60):
        scores.passed(float(one), 0.0)
    assert scores.calibration.complete


def test_what_was_learnt_before_the_store_could_be_read_is_not_lost(store: Store) -> None:
    taught(40).close(store)
    scores = taught(60)
    scores.serve(store, 0.0)
    assert scores.status(BOUNDS, 0.0)["scores"] == 100


def test_scores_of_other_networks_are_of_no_use(store: Store) -> None:
    taught().close(store)
    assert not again(store, "others").calibration.complete


def test_what_was_reset_is_gone(store: Store) -> None:
    scores = taught()
    scores.serve(store, 0.0)
    scores.reset()
    scores.serve(store, 0.1)
    assert not scores.calibration.complete
    assert not again(store).calibration.complete


def test_it_is_written_now_and_then_and_not_at_every_visit(store: Store) -> None:
    scores = taught(1)
    scores.serve(store, 0.0)
    changes = store.database.connection.total_changes
    for visit in range(50):
        scores.passed(float(visit), 1.0 + visit)
        scores.serve(store, 1.0 + visit)
    assert store.database.connection.total_changes == changes
    scores.serve(store, 61.0)
    # Themselves, and the seal that knows which are the latest.
    assert store.database.connection.total_changes == changes + 2


def test_a_store_without_room_is_no_reason_to_stop(store: Store) -> None:
    scores = taught(1)
    store.database.run("DROP TABLE liveness")
    scores.serve(store, 0.0)
    scores.close(store)
    assert scores.status(BOUNDS, 0.0)["scores"] == 1


def test_scores_are_sealed(store: Store) -> None:
    store.liveness.keep({"scores": [1.0]})
    assert store.liveness.kept() == {"scores": [1.0]}
    (sealed,) = store.database.rows("SELECT sealed FROM liveness")[0]
    assert b"scores" not in sealed
    altered = bytes([sealed[0] ^ 1]) + sealed[1:]
    with store.database.transaction():
        store.database.run("UPDATE liveness SET sealed = ?", altered)
    with pytest.raises(StoreError, match="lockd liveness reset"):
        store.liveness.kept()
    assert not again(store).calibration.complete


def test_scores_that_moved_are_a_problem_until_they_are_as_before() -> None:
    scores = taught()
    for _ in range(LEAST_RECENT):
        scores.let_in(50.0)
    assert scores.problem is None
    for _ in range(MOST_RECENT):
        scores.let_in(-50.0)
    assert scores.problem is not None
    assert "lockd liveness calibrate" in scores.problem
    for one in range(MOST_RECENT):
        scores.let_in(2.0 * one)
    assert scores.problem is None


# What an administrator asks


class Asked:
    """A request of root's."""

    by = "root"

    def __init__(self, **values: Any) -> None:
        self.values = {"command": "liveness", **values}

    def take(self) -> bool:
        return True

    def answer(self, values: dict[str, Any], picture: Any = None) -> None:
        raise AssertionError("whoever took it answers")


class Desk:
    """Requests, and what was told."""

    def __init__(self, policy: str = "graded") -> None:
        self.now_s = 0.0
        self.told: list[tuple[EventType, dict[str, Any]]] = []
        self.scores = taught()
        settings = parse(f"liveness: {{policy: {policy}}}")
        self.requests = LivenessRequests(settings, self.now, self.scores, self.tell)

    def now(self) -> float:
        return self.now_s

    def tell(self, kind: EventType, **details: Any) -> None:
        self.told.append((kind, details))

    def ask(self, **values: Any) -> dict[str, Any]:
        return self.requests.answer(Asked(**values))


def test_the_status_says_what_is_asked_and_what_is_known() -> None:
    answer = Desk().ask()
    assert answer["result"] == "ok"
    assert (answer["policy"], answer["calibrated"], answer["scores"]) == ("graded", True, 100)
    assert answer["quantiles"]["0.5"] == 49.0
    assert not answer["moved"]


def test_calibrating_and_forgetting_are_told_with_who_asked() -> None:
    desk = Desk()
    assert desk.ask(action="calibrate", seconds=600)["vouching_s"] == 600
    assert not desk.ask(action="reset")["calibrated"]
    assert desk.told == [
        (EventType.COMMAND, {"command": f"liveness {one}", "by": "root", "result": "ok"})
        for one in ("calibrate", "reset")
    ]


@pytest.mark.parametrize(
    "values",
    [
        {"action": "open"},
        {"action": ["reset"]},
        {"action": None},
        {"action": "calibrate", "seconds": -1},
        {"action": "calibrate", "seconds": math.nan},
        {"action": "calibrate", "seconds": True},
        {"action": "calibrate", "seconds": "600"},
        {"action": "calibrate", "seconds": 10**400},
    ],
)
def test_what_is_malformed_changes_nothing(values: dict[str, Any]) -> None:
    desk = Desk()
    assert desk.ask(**values)["result"] == "malformed"
    assert not desk.told
    assert desk.scores.calibration.complete


def test_where_no_policy_asks_the_network_there_is_nothing_to_calibrate() -> None:
    desk = Desk("challenge")
    assert desk.ask(action="calibrate", seconds=60)["result"] == "off"
    assert desk.ask()["result"] == "ok"
