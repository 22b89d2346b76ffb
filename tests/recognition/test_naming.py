"""Who a face is by the first network alone: never otherwise than by all of them."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockd.config import Settings
from lockd.identity.evidence import Recognised, Stranger, Verdict
from lockd.identity.gallery import Gallery, Template, could_reach
from lockd.recognition.naming import Named, NamingRule, name
from lockd.recognition.recogniser import Recogniser, Vision
from lockd.types import Embedding, Face, Floats, Match, Person
from lockd.vision.embedder import Embedder
from lockd.vision.geometry import Octaves
from tests.fakes import ScriptedVision, film
from tests.pictures import COLLINS, OBAMA, OBAMA_ENROLLED, OBAMA_ENROLLED_TOO, read

FIRST, ALL = 4, 8


def composed(head: Floats, tail: Floats, weight: float) -> Embedding:
    """What two networks say of a face, weighed."""
    parts = [head / np.linalg.norm(head), tail / np.linalg.norm(tail)]
    scales = [math.sqrt(weight), math.sqrt(1 - weight)]
    whole: Embedding = np.concatenate([a * b for a, b in zip(parts, scales, strict=True)])
    return whole.astype(np.float32)


class Asked:
    """A probe that counts how often the second network was asked."""

    def __init__(self, whole: Embedding) -> None:
        self.head, self.complete, self.times = whole[:FIRST], False, 0
        self._whole = whole

    def whole(self) -> Embedding:
        self.times += 1
        return self._whole


def named(whole: Embedding, gallery: Gallery, rule: NamingRule, **more: Any) -> tuple[Named, int]:
    probe = Asked(whole)
    return name(probe, gallery, rule, **more), probe.times  # type: ignore[arg-type]


numbers = st.floats(-1, 1, width=32)
pairs = st.tuples(
    st.lists(numbers, min_size=FIRST, max_size=FIRST).filter(lambda v: math.hypot(*v) > 0.05),
    st.lists(numbers, min_size=FIRST, max_size=FIRST).filter(lambda v: math.hypot(*v) > 0.05),
)


@st.composite
def doors(draw: st.DrawFn) -> tuple[Gallery, list[Embedding], NamingRule]:
    """People with several templates each, probes near and far, and a rule."""
    weight = draw(st.floats(0.3, 0.95))
    templates: list[Template] = []
    for number in range(draw(st.integers(0, 4))):
        person = Person(str(number), f"Person {number}")
        templates += [
            Template(person, composed(np.float32(a), np.float32(b), weight))
            for a, b in draw(st.lists(pairs, min_size=1, max_size=3))
        ]
    probes = [composed(np.float32(a), np.float32(b), weight) for a, b in draw(st.lists(pairs))]
    for one in templates:  # and some that are almost somebody
        noise = np.float32(draw(st.lists(numbers, min_size=ALL, max_size=ALL))) * 0.3
        near = one.embedding + noise
        if min(np.linalg.norm(near[:FIRST]), np.linalg.norm(near[FIRST:])) > 0.05:
            probes.append(composed(near[:FIRST], near[FIRST:], weight))
    accept = draw(st.floats(0.2, 0.95))
    rule = NamingRule(accept, draw(st.floats(0, 0.3)), draw(st.floats(0.2, 0.95)))
    return Gallery(templates, ALL), probes, rule


def decision(match: Match) -> tuple[Person | None, bool]:
    return match.person, match.ambiguous


@given(doors())
@settings(max_examples=300)
def test_the_decision_is_that_of_all_networks(
    door: tuple[Gallery, list[Embedding], NamingRule],
) -> None:
    gallery, probes, rule = door
    for probe in probes:
        by_all = gallery.identify(probe, accept=rule.accept, margin=rule.margin)
        found, asked = named(probe, gallery, rule)
        assert decision(found.match) == decision(by_all)
        assert found.match.bound == (asked == 0 and bool(gallery.people))
        assert (found.whole is None) == (asked == 0)
        if found.match.bound:
            assert found.match.person is None
            assert by_all.similarity - 1e-4 <= found.match.similarity < rule.accept
            assert not (found.match.runner_up < by_all.runner_up - 1e-4)
        else:
            np.testing.assert_equal(found.match.similarity, by_all.similarity)


@given(doors(), pairs)
def test_a_face_that_may_be_like_the_one_recognised_is_seen_by_all(
    door: tuple[Gallery, list[Embedding], NamingRule], face: tuple[list[float], list[float]]
) -> None:
    gallery, probes, rule = door
    known = composed(np.float32(face[0]), np.float32(face[1]), 0.5)
    for probe in probes:
        found, _ = named(probe, gallery, rule, known=known)
        if float(known @ probe) >= rule.accept:
            assert found.whole is not None


@given(pairs, pairs, st.floats(0.05, 0.95))
def test_what_cannot_be_reached_is_not_reached(
    one: tuple[list[float], list[float]], other: tuple[list[float], list[float]], weight: float
) -> None:
    first, second = (composed(np.float32(a), np.float32(b), weight) for a, b in (one, other))
    assert could_reach(first, second[:FIRST], float(first @ second))


def test_one_bad_answer_is_nobody_and_all_are_asked() -> None:
    ada = Person("1", "Ada")
    gallery = Gallery([Template(ada, composed(np.ones(4), np.ones(4), 0.5))], ALL)
    found, asked = named(np.full(ALL, np.nan, np.float32), gallery, NamingRule(0.4, 0.05, 0.4))
    assert (found.match.person, asked) == (None, 1)


class TestFollowing:
    """Whoever was recognised is seen to be they by the first network alone, and nobody else is."""

    ADA, GRACE = Person("1", "Ada"), Person("2", "Grace")
    RULE = NamingRule(0.6, 0.05, 0.7)

    def gallery(self, grace: Embedding) -> Gallery:
        ada = composed(np.eye(4)[0], np.eye(4)[0], 0.8)
        return Gallery([Template(self.ADA, ada), Template(self.GRACE, grace)], ALL)

    def test_somebody_alike_by_the_first_network_is_followed(self) -> None:
        far = composed(np.eye(4)[1], np.eye(4)[1], 0.8)
        probe = composed(np.eye(4)[0], -np.eye(4)[0], 0.8)
        found, asked = named(probe, self.gallery(far), self.RULE, settled=self.ADA)
        assert (found.followed, found.match.person, asked) == (True, self.ADA, 0)

    def test_who_may_be_somebody_else_is_seen_by_all(self) -> None:
        near = composed(np.float32([0.9, 0.4, 0, 0]), np.eye(4)[1], 0.8)
        probe = composed(np.eye(4)[0], np.eye(4)[1], 0.8)
        found, asked = named(probe, self.gallery(near), self.RULE, settled=self.ADA)
        assert (found.followed, asked) == (False, 1)

    def test_a_stranger_in_their_place_is_nobody(self) -> None:
        far = composed(np.eye(4)[1], np.eye(4)[1], 0.8)
        probe = composed(np.eye(4)[2], np.eye(4)[2], 0.8)
        found, _ = named(probe, self.gallery(far), self.RULE, settled=self.ADA)
        assert (found.followed, found.match.person) == (False, None)

    def test_who_is_enrolled_no_more_is_not_followed(self) -> None:
        gallery = Gallery([], ALL)
        probe = composed(np.eye(4)[0], np.eye(4)[0], 0.8)
        found, _ = named(probe, gallery, self.RULE, settled=self.ADA)
        assert (found.followed, found.match.person) == (False, None)


class TwoNetworks(ScriptedVision):
    """Scripted people seen by two networks; counts how often the second was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.staged, self.accept_first, self.asked = True, 0.7, 0

    def probe(self, octaves: Octaves, face: Face) -> SimpleNamespace:
        vector = self.embed(octaves, face)

        def whole() -> Embedding:
            self.asked += 1
            return vector

        return SimpleNamespace(head=vector[:FIRST], complete=False, whole=whole)


ADA = composed(np.eye(4)[0], np.eye(4)[0], 0.8)
GRACE = composed(np.eye(4)[1], np.eye(4)[1], 0.8)
NOBODY = composed(np.eye(4)[2], np.eye(4)[2], 0.8)


def watched(*shots: tuple[Embedding, float]) -> tuple[TwoNetworks, list[Verdict], list[bool]]:
    """A door that knows Ada and Grace, what it says of some shots, and which faces it named."""
    vision = TwoNetworks()
    gallery = Gallery(
        [Template(Person("1", "Ada"), ADA), Template(Person("2", "Grace"), GRACE)], ALL
    )
    door = Recogniser(Settings(), vision, gallery)  # type: ignore[arg-type]
    verdicts: list[Verdict] = []
    seen: list[bool] = []
    for frame in film(*((vision.scene(face), seconds) for face, seconds in shots)):
        look = door.look(frame)
        verdicts += look.verdicts
        seen += [one.match.person is not None for one in look.sightings if one.match]
    return vision, verdicts, seen


class TestVisits:
    def test_a_colleague_takes_as_many_looks_of_the_second_network_as_decide(self) -> None:
        vision, (one,), seen = watched((ADA, 10.0))
        assert isinstance(one, Recognised)
        assert vision.asked == Settings().recognition.agree_frames
        assert all(seen)
        assert len(seen) > 10

    def test_a_stranger_takes_none_and_is_one(self) -> None:
        vision, (one,), _ = watched((NOBODY, 4.0))
        assert isinstance(one, Stranger)
        assert one.bound
        assert -1 < one.similarity < Settings().recognition.threshold(vision.accept)
        assert vision.asked == 0

    def test_whoever_is_to_be_recognised_once_more_is_so_by_all_networks(self) -> None:
        """What was only followed is no vote: all that agree have been seen by both."""
        vision = TwoNetworks()
        gallery = Gallery([Template(Person("1", "Ada"), ADA)], ALL)
        door = Recogniser(Settings(), vision, gallery)  # type: ignore[arg-type]
        again: list[int] = []
        for frame in film((vision.scene(ADA), 12.0)):
            for verdict in door.look(frame).verdicts:
                assert isinstance(verdict, Recognised)
                again.append(vision.asked)
            if abs(frame.t - 6.0) < 0.01:  # when the votes of before are too old
                door.refused(1, Person("1", "Ada"), frame.t)
        agree = Settings().recognition.agree_frames
        assert again == [agree, 2 * agree]

    def test_whoever_steps_into_a_colleagues_place_is_found_out(self) -> None:
        _, verdicts, _ = watched((ADA, 2.0), (GRACE, 4.0))
        assert [one.person.name for one in verdicts if isinstance(one, Recognised)] == [
            "Ada",
            "Grace",
        ]
        _, verdicts, _ = watched((ADA, 2.0), (NOBODY, 6.0))
        assert [type(one) for one in verdicts] == [Recognised, Stranger]


class TestRealNetworks:
    @pytest.fixture
    def gallery(self, vision: Vision) -> Gallery:
        obama = Person("1", "Barack Obama")
        faces = [
            enrolled(vision.embedder, vision, path) for path in (OBAMA_ENROLLED, OBAMA_ENROLLED_TOO)
        ]
        return Gallery([Template(obama, face) for face in faces], vision.embedder.size)

    def test_facenet_is_asked_about_the_colleague_and_not_about_the_stranger(
        self, vision: Vision, gallery: Gallery
    ) -> None:
        embedder = vision.embedder
        rule = NamingRule.of(embedder, embedder.accept, 0.05)
        for path, person, asked in ((OBAMA, "Barack Obama", 1), (COLLINS, None, 0)):
            octaves = Octaves(read(path))
            face = vision.detector.detect_in(octaves)[0]
            before = embedder.looks["facenet"]
            found = name(embedder.probe(octaves, face), gallery, rule).match
            assert (found.person.name if found.person else None) == person
            assert embedder.looks["facenet"] - before == asked
            by_all = gallery.identify(
                embedder.embed(octaves, face), accept=rule.accept, margin=0.05
            )
            assert decision(found) == decision(by_all)
            assert found.similarity >= by_all.similarity - 1e-4


def enrolled(embedder: Embedder, vision: Vision, path: Any) -> Embedding:
    octaves = Octaves(read(path))
    return embedder.enrolled(octaves, vision.detector.detect_in(octaves)[0])

    def test_the_network_that_looks_for_pictures_sees_every_other_face_mirrored(self) -> None:
        vision, seen = TwoNetworks(), []

        def score(_image: object, _face: Face, *, mirrored: bool) -> float:
            seen.append(mirrored)
            return 1.0

        vision.liveness = SimpleNamespace(score=score)  # type: ignore[assignment]
        gallery = Gallery([Template(Person("1", "Ada"), ADA)], ALL)
        door = Recogniser(Settings(), vision, gallery)  # type: ignore[arg-type]
        for frame in film((vision.scene(ADA), 2.0)):
            door.look(frame)
        assert len(seen) >= Settings().recognition.agree_frames
        assert seen == [bool(index % 2) for index in range(len(seen))]
