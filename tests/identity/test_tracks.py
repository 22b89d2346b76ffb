"""Which face is which."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lockd.identity.tracks import Tracker
from lockd.types import Box, Face
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


def face(*box: float) -> Face:
    return replace(face_at(0, 0), box=Box(*box))


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        # Beside each other, a fifth of both in common; then hardly less, and too far away.
        ((0, 0, 60, 10), (40, 0, 100, 10), True),
        ((0, 0, 60, 10), (40.1, 0, 100.1, 10), False),
        # Hardly any overlap: three fifths of the longer side away, and no more.
        ((0, 0, 100, 100), (80, 20, 140, 80), True),
        ((0, 0, 100, 100), (80.5, 20, 140.5, 80), False),
        ((0, 0, 100, 100), (20, 80, 80, 140), True),
        ((0, 0, 100, 100), (20, 80.5, 80, 140.5), False),
        ((0, 0, 100, 100), (56, 68, 116, 128), True),
        ((0, 0, 100, 100), (57, 69, 117, 129), False),
        ((0, 0, 100, 60), (80, 0, 140, 60), True),
        ((0, 0, 60, 100), (0, 80, 60, 140), True),
        # And neither 1.8 times as large nor as small.
        ((0, 0, 50, 50), (-20, 40, 70, 70), True),
        ((0, 0, 50, 50), (-20.5, 40, 70.5, 70), False),
        ((0, 0, 50, 50), (40, -20, 70, 70), True),
        ((0, 0, 50, 50), (40, -20.5, 70, 70.5), False),
        ((0, 0, 90, 90), (70, 20, 120, 70), True),
        ((0, 0, 90, 90), (70.5, 20.5, 119.5, 69.5), False),
        # A box without a size is no face that could move.
        ((5, 5, 5, 5), (5, 5, 5, 5), False),
    ],
)
def test_how_far_a_face_may_move_and_grow(
    before: tuple[float, ...], after: tuple[float, ...], same: bool
) -> None:
    tracker = Tracker(gap_s=2)
    ids(tracker, [face(*before)], 0.0)
    assert ids(tracker, [face(*after)], 0.1) == [1 if same else 2]


def test_the_nearest_of_those_without_overlap_stays_the_same_visit() -> None:
    tracker = Tracker(gap_s=2)
    ids(tracker, [face(0, 0, 100, 100)], 0.0)
    farther, nearer = face(80, 20, 140, 80), face(20, 78, 80, 138)
    assert ids(tracker, [farther, nearer], 0.1) == [2, 1]


def test_between_equals_the_older_visit_and_the_first_face_win() -> None:
    tracker = Tracker(gap_s=2)
    assert ids(tracker, [face_at(0, 0), face_at(0, 0)], 0.0) == [1, 2]
    assert ids(tracker, [face_at(0, 0)], 0.1) == [1]
    assert ids(tracker, [face_at(0, 0), face_at(0, 0), face_at(0, 0)], 0.2) == [1, 2, 3]


def test_a_track_knows_since_when_and_where_its_face_was_seen() -> None:
    tracker = Tracker(gap_s=2)
    tracker.update([face_at(0, 0)], 1.0)
    ((track, seen),) = tracker.update([face_at(5, 0)], 2.0)
    assert (track.id, track.since, track.seen) == (1, 1.0, 2.0)
    assert track.box == seen.box == face_at(5, 0).box


def test_a_face_that_comes_back_after_its_visit_ended_is_another() -> None:
    tracker = Tracker(gap_s=2)
    ids(tracker, [face_at(0, 0), face_at(300, 0)], 0.0)
    ids(tracker, [face_at(0, 0)], 1.0)
    assert [track.id for track in tracker.ended(2.5)] == [2]
    assert ids(tracker, [face_at(0, 0), face_at(300, 0)], 2.6) == [1, 3]


def test_a_face_keeps_its_visit_though_it_would_fit_another_as_well() -> None:
    tracker = Tracker(gap_s=2)
    ids(tracker, [face_at(0, 0), face_at(30, 0)], 0.0)
    assert ids(tracker, [face_at(400, 0), face_at(2, 0)], 0.1) == [3, 1]
    assert ids(tracker, [face_at(30, 0)], 0.2) == [2]


def test_a_little_overlap_beats_much_nearness() -> None:
    tracker = Tracker(gap_s=2)
    ids(tracker, [face(0, 0, 100, 100)], 0.0)
    near, overlapping = face(70, 20, 130, 80), face(60, 0, 160, 100)
    assert ids(tracker, [near, overlapping], 0.1) == [2, 1]


def test_a_face_is_expected_where_its_way_leads() -> None:
    tracker = Tracker(gap_s=2)
    tracker.update([face_at(0, 0)], 0.0)
    tracker.update([face_at(20, 10)], 0.1)
    (box,) = tracker.expected(0.2)
    assert (box.x0, box.y0) == pytest.approx((40, 20))
    assert (box.width, box.height) == pytest.approx((100, 100))


def test_a_face_is_not_expected_farther_than_half_its_side() -> None:
    tracker = Tracker(gap_s=9)
    tracker.update([face_at(0, 0)], 0.0)
    tracker.update([face_at(40, 0)], 0.1)
    (box,) = tracker.expected(5.0)
    assert box.x0 == pytest.approx(90)


def test_only_faces_of_the_last_frame_are_expected_but_all_are_counted() -> None:
    tracker = Tracker(gap_s=2)
    tracker.update([face_at(0, 0), face_at(300, 0)], 0.0)
    tracker.update([face_at(0, 0)], 0.1)
    assert len(tracker.expected(0.2)) == 1
    assert tracker.count == 2
    tracker.update([], 0.3)
    assert tracker.expected(0.4) == []
