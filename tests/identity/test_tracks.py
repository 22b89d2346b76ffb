"""Which face is which."""

from __future__ import annotations

from lockd.identity.tracks import Tracker
from tests.fakes import face_at


def ids(tracker: Tracker, faces: list, now: float) -> list[int]:  # type: ignore[type-arg]
    return [track.id for track, _ in tracker.update(faces, now)]


def test_a_face_that_moves_a_little_stays_the_same_visit() -> None:
    tracker = Tracker(gap_s=2)
    assert ids(tracker, [face_at(0, 0)], 0.0) == ids(tracker, [face_at(30, 10)], 0.1) == [1]


def test_a_face_elsewhere_is_another_visit() -> None:
    tracker = Tracker(gap_s=2)
    ids(tracker, [face_at(0, 0)], 0.0)
    assert ids(tracker, [face_at(400, 0)], 0.1) == [2]


def test_two_people_keep_their_visits_whatever_order_they_are_found_in() -> None:
    tracker = Tracker(gap_s=2)
    assert ids(tracker, [face_at(0, 0), face_at(300, 0)], 0.0) == [1, 2]
    assert ids(tracker, [face_at(290, 0), face_at(10, 0)], 0.1) == [2, 1]


def test_overlap_beats_nearness_when_both_want_the_same_visit() -> None:
    tracker = Tracker(gap_s=2)
    ids(tracker, [face_at(0, 0)], 0.0)
    assert ids(tracker, [face_at(55, 0), face_at(5, 0)], 0.1) == [2, 1]


def test_a_face_that_jumps_in_size_is_another_visit() -> None:
    tracker = Tracker(gap_s=2)
    ids(tracker, [face_at(100, 100, 40)], 0.0)
    assert ids(tracker, [face_at(80, 80, 200)], 0.1) == [2]


def test_a_fast_mover_is_followed_beyond_overlap() -> None:
    tracker = Tracker(gap_s=2)
    ids(tracker, [face_at(0, 0)], 0.0)
    assert ids(tracker, [face_at(58, 0)], 0.1) == [1]


def test_a_visit_survives_a_gap_and_ends_after_a_longer_one() -> None:
    tracker = Tracker(gap_s=2)
    ids(tracker, [face_at(0, 0)], 0.0)
    assert tracker.ended(2.0) == []
    assert ids(tracker, [face_at(0, 0)], 2.0) == [1]
    assert [track.id for track in tracker.ended(4.1)] == [1]
    assert tracker.ended(9.0) == []
    assert ids(tracker, [face_at(0, 0)], 9.0) == [2]


def test_the_end_of_a_recording_ends_every_visit() -> None:
    tracker = Tracker(gap_s=2)
    ids(tracker, [face_at(0, 0), face_at(300, 0)], 0.0)
    assert [track.id for track in tracker.end_all()] == [1, 2]
    assert tracker.end_all() == []
