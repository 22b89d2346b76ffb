"""What a broker, a thief and somebody thrown out can try: each is refused, with a reason."""

from __future__ import annotations

import pytest

from lockd.fleet.administrator import Said, without
from lockd.fleet.charter import Head, read_certificate, read_charter, read_key, read_report
from lockd.fleet.gone import PAGE, Page, start
from lockd.fleet.records import Version, content_of, topic_of, version_of
from lockd.fleet.sealing import (
    LONGEST_MESSAGE,
    Kind,
    Refused,
    Seal,
    box,
    new_boxer,
    new_signer,
    parse,
    public_boxer,
    public_signer,
    sign,
    unbox,
)
from lockd.fleet.state import State, found, write_charter
from tests.fleet.doors import NOW, Door, fleet, member, person

ONE = person(1)
TOPIC = topic_of(ONE.id)


def said(door: Door) -> Said:
    return door.enrol(ONE)[0]


def signed(door: Door, topic: str, kind: Kind, head: dict[str, object], data: bytes = b"") -> bytes:
    """What a door signs with its own hand, whatever it may."""
    return door.replica.signed(kind, topic, head, data)


def stamp(door: Door, counter: int = 1) -> dict[str, object]:
    return {"by": door.replica.state.me, "counter": counter, "time": NOW}


def test_what_one_door_signs_all_take() -> None:
    first, second = fleet(2)
    taken = second.hear(TOPIC, said(first).message)
    assert taken.person is not None
    assert taken.person.profile == ONE.profile
    assert (taken.person.templates[0][2] == ONE.templates[0][2]).all()


def test_a_record_altered_anywhere_is_refused() -> None:
    first, second = fleet(2)
    message = said(first).message
    for place in range(0, len(message), 7):
        altered = message[:place] + bytes([message[place] ^ 1]) + message[place + 1 :]
        assert second.hear(TOPIC, altered).refused in ("seal", "malformed", "unknown_key")
    assert not second.people


def test_a_record_on_another_persons_topic_is_refused() -> None:
    first, second = fleet(2)
    message = said(first).message
    assert second.hear(topic_of(person(2).id), message).refused == "seal"


def test_a_record_signed_for_another_persons_topic_is_refused() -> None:
    first, second = fleet(2)
    other = topic_of(person(2).id)
    head = {**ONE.head(), **stamp(first)}
    message = signed(first, other, Kind.PERSON, head, ONE.data())
    assert second.hear(other, message).refused == "topic"


def test_a_record_of_another_fleet_is_refused() -> None:
    (first,), (other,) = fleet(1), fleet(1)
    other.replica.add_key(2, first.replica.state.keys[1])
    first.replica.add_key(2, first.replica.state.keys[1])
    assert first.hear(TOPIC, said(other).message).refused == "seal"


def test_a_record_of_somebody_who_has_the_key_and_may_not_sign_is_refused() -> None:
    first, thief = fleet(2, enrolling=1)
    forged = thief.replica.sign_person(ONE, NOW)
    assert first.hear(TOPIC, forged.message).refused == "unknown_administrator"


def test_a_record_in_an_administrators_name_is_refused_without_their_signature() -> None:
    first, second, thief = fleet(3, enrolling=2)
    head = {**ONE.head(), **stamp(second)}
    assert first.hear(TOPIC, signed(thief, TOPIC, Kind.PERSON, head, ONE.data())).refused == (
        "signature"
    )


def test_a_door_that_was_thrown_out_signs_nothing_any_more() -> None:
    first, second, stolen = fleet(3)
    assert second.hear(TOPIC, stolen.enrol(ONE)[0].message).person is not None
    state = first.replica.state
    write_charter(state, without(state.read_charter(), stolen.replica.state.me))
    first.replica.adopt(state.charter)
    second.hear("charter", first.replica.seal("charter", state.charter))
    two = person(2)
    assert second.hear(topic_of(two.id), stolen.enrol(two)[0].message).refused == "revoked"
    page, tombstone, _ = stolen.remove(ONE.id)
    assert second.hear(page.topic, page.message).refused == "revoked"
    assert second.hear(tombstone.topic, tombstone.message).refused == "revoked"
    assert ONE.id in second.people
    # What it signed before, another vouches for; the counter does not matter.
    before = second.replica.version(ONE.id)
    renewed = first.enrol(person(1, "vouched for"))[0]
    assert second.hear(renewed.topic, renewed.message).person is not None
    assert before is not None
    assert before.by == stolen.replica.state.me


def test_whoever_is_vouched_for_counts_however_great_the_thiefs_counter_was() -> None:
    first, second, stolen = fleet(3)
    head = {**ONE.head(), **stamp(stolen, counter=2**53 - 1)}
    second.hear(TOPIC, signed(stolen, TOPIC, Kind.PERSON, head, ONE.data()))
    state = first.replica.state
    write_charter(state, without(state.read_charter(), stolen.replica.state.me))
    first.replica.adopt(state.charter)
    second.hear("charter", first.replica.seal("charter", state.charter))
    renewed = first.enrol(person(1, "vouched for"))[0]
    assert second.hear(renewed.topic, renewed.message).person is not None


def test_an_older_record_is_answered_with_the_later() -> None:
    first, second = fleet(2)
    old = said(first)
    new = first.enrol(person(1, "renamed"))[0]
    second.hear(TOPIC, new.message)
    taken = second.hear(TOPIC, old.message)
    assert taken.person is None
    assert taken.answer == (TOPIC, new.message)


def test_nobody_removed_is_enrolled_again_by_any_counter() -> None:
    first, second = fleet(2)
    second.hear(TOPIC, said(first).message)
    for one in second.remove(ONE.id):
        first.hear(one.topic, one.message)
    assert not first.people
    head = {**ONE.head(), **stamp(first, counter=2**53 - 1)}
    assert second.hear(TOPIC, signed(first, TOPIC, Kind.PERSON, head, ONE.data())).person is None
    with pytest.raises(Refused, match="gone"):
        first.enrol(ONE)


def test_nobody_on_the_list_is_enrolled_again_though_their_tombstone_is_forgotten() -> None:
    first, second = fleet(2)
    old = said(first)
    second.hear(old.topic, old.message)
    for one in first.remove(ONE.id):
        second.hear(one.topic, one.message)
    assert second.hear(TOPIC, b"").answer is None  # wiped, which it may be
    assert TOPIC not in second.kept.rows
    taken = second.hear(old.topic, old.message)
    assert taken.person is None
    assert taken.answer == (TOPIC, b"")
    assert not second.people


def test_a_tombstone_whose_list_did_not_come_may_not_be_wiped() -> None:
    first, second = fleet(2)
    second.hear(TOPIC, said(first).message)
    _, tombstone, _ = first.remove(ONE.id)
    second.hear(tombstone.topic, tombstone.message)
    assert second.hear(TOPIC, b"").answer == (TOPIC, tombstone.message)
    assert second.replica.is_gone(ONE.id)


def test_what_is_signed_is_signed_for_a_kind_a_fleet_and_a_topic() -> None:
    key = new_signer()
    plain = sign(key, Kind.HEAD, "fleet", "topic", {"by": "me"})
    parse(plain, Kind.HEAD).verify(public_signer(key), "fleet", "topic")
    other = bytes([Kind.REPORT]) + plain[1:]
    for one, fleet_, topic in (
        (plain, "another", "topic"),
        (plain, "fleet", "another"),
        (other, "fleet", "topic"),
    ):
        with pytest.raises(Refused, match="signature"):
            parse(one, Kind.HEAD, Kind.REPORT).verify(public_signer(key), fleet_, topic)


def test_a_removal_beats_what_was_signed_at_the_same_time() -> None:
    first, second = fleet(2)
    second.hear(TOPIC, said(first).message)
    edited, removed = first.enrol(person(1, "edited")), second.remove(ONE.id)
    for one in removed:
        first.hear(one.topic, one.message)
    for one in edited:
        second.hear(one.topic, one.message)
    assert not first.people
    assert not second.people


def test_disabled_beats_enabled_at_the_same_counter() -> None:
    first, second = fleet(2)
    second.hear(TOPIC, said(first).message)
    on, off = first.enrol(person(1, "on")), second.enrol(person(1, "off", enabled=False))
    first.hear(off[0].topic, off[0].message)
    second.hear(on[0].topic, on[0].message)
    assert not first.names()
    assert not second.names()


def test_a_tombstone_that_is_kept_back_is_noticed_and_the_list_removes_as_well() -> None:
    first, second = fleet(2)
    second.hear(TOPIC, said(first).message)
    page, _, head = first.remove(ONE.id)
    second.hear(head.topic, head.message)
    assert second.replica.problem() == "incomplete"
    assert second.hear(page.topic, page.message).removed == (ONE.id,)
    assert second.replica.problem() is None
    assert not second.people


def test_a_list_from_which_somebody_was_taken_is_noticed_and_removes_all_the_same() -> None:
    first, second = fleet(2)
    for one in range(3):
        for message in first.enrol(person(one)):
            second.hear(message.topic, message.message)
    page = first.remove(person(0).id)[0]
    second.hear(page.topic, page.message)
    me = first.replica.state.me
    two, three = (bytes.fromhex(person(one).id.replace("-", "")) for one in (1, 2))
    other = Page(me, 0, start(me), [two, three])
    forked = signed(first, other.topic, Kind.GONE, dict(other.head()), other.data())
    assert set(second.hear(other.topic, forked).removed) == {person(1).id, person(2).id}
    assert second.replica.problem() == "forked"
    second.restart()
    assert not second.people
    assert all(second.replica.is_gone(person(one).id) for one in range(3))


def test_a_list_of_many_pages_is_followed_in_any_order() -> None:
    first, second = fleet(2)
    me = first.replica.state.me
    pages, page = [], Page(me, 0, start(me), [])
    for one in range(2 * PAGE + 5):
        following = page.with_one(one.to_bytes(16))
        if following.number > page.number:
            pages.append(page)
        page = following
    for last in reversed([*pages, page]):
        message = signed(first, last.topic, Kind.GONE, dict(last.head()), last.data())
        second.hear(last.topic, message)
    assert second.replica.state.gone[me] == (2 * PAGE + 5, page.hashes[-1])
    assert second.replica.problem() is None


def test_an_older_charter_is_answered_with_the_later_and_one_of_another_root_refused() -> None:
    first, second = fleet(2)
    state = first.replica.state
    old = first.replica.seal("charter", state.charter)
    write_charter(state, state.read_charter())
    assert second.hear("charter", first.replica.seal("charter", state.charter)).again
    taken = second.hear("charter", old)
    assert taken.answer is not None
    assert not taken.again
    head = {"counter": 99, "epoch": 1, "administrators": {}, "revoked": []}
    other = sign(new_signer(), Kind.CHARTER, state.fleet, "charter", head)
    forged = first.replica.seal("charter", other)
    assert second.hear("charter", forged).refused == "signature"


def test_a_charter_has_room_for_very_many_who_were_thrown_out() -> None:
    first, second = fleet(2)
    state = first.replica.state
    thrown_out = [f"{one:016x}" for one in range(10_000)]
    write_charter(state, state.read_charter().model_copy(update={"revoked": thrown_out}))
    assert second.hear("charter", first.replica.seal("charter", state.charter)).again
    assert second.replica.charter.revoked == thrown_out


def test_an_administrators_head_of_another_is_refused() -> None:
    first, second = fleet(2)
    good = first.enrol(ONE)[-1]
    assert second.hear(good.topic, good.message).refused is None
    head = Head(
        by=second.replica.state.me, counter=9, time=NOW, gone=9, gone_hash="0" * 64
    ).model_dump()
    forged = signed(first, f"heads/{second.replica.state.me}", Kind.HEAD, head, bytes(2048))
    assert second.hear(f"heads/{second.replica.state.me}", forged).refused == "signature"


def test_the_fleets_key_is_taken_from_the_root_key_alone_and_for_this_door_alone() -> None:
    first, second = fleet(2)
    root, me = first.replica.state, second.replica.state.me
    topic, public = f"keys/{me}", public_boxer(second.replica.state.box)

    def key(signer: bytes, door: str, epoch: int) -> bytes:
        head = {"door": door, "epoch": epoch, "key": "11" * 32}
        return box(public, sign(signer, Kind.KEY, root.fleet, topic, head), "key")

    assert second.hear(topic, key(new_signer(), me, 2)).refused == "signature"
    assert second.hear(topic, key(root.root_key, root.me, 2)).refused == "topic"
    assert second.hear(topic, b"").refused == "topic"
    assert second.hear(topic, key(root.root_key, me, 1)).again is False
    assert second.hear(topic, key(root.root_key, me, 2)).again is True


def test_what_is_sealed_with_a_later_key_waits_for_it_and_takes_the_place_of_the_earlier() -> None:
    first, second = fleet(2)
    old = said(first)
    second.hear(old.topic, old.message)
    first.replica.add_key(2, bytes(32))
    renewed = first.replica.resealed(TOPIC, old.message)
    taken = second.hear(TOPIC, renewed)
    assert (taken.refused, taken.answer) == ("unknown_key", None)
    second.replica.add_key(2, bytes(32))
    second.hear(TOPIC, renewed)
    assert second.hear(TOPIC, old.message).answer == (TOPIC, renewed)


def test_what_is_wiped_or_spoilt_at_the_broker_is_answered() -> None:
    first, _ = fleet(2)
    one = said(first)
    assert first.hear(TOPIC, b"").answer == (TOPIC, one.message)
    assert first.hear(TOPIC, b"spoilt").answer == (TOPIC, one.message)
    assert ONE.id in first.people


def test_a_door_whose_records_were_turned_back_past_lockd_says_so() -> None:
    first, _ = fleet(2)
    said(first)
    before = dict(first.kept.rows)
    first.remove(ONE.id)
    for rows in (before, {}):
        first.kept.rows = dict(rows)
        with pytest.raises(Refused, match="held"):
            first.restart()


@pytest.mark.parametrize("size", [0, 1, 32, LONGEST_MESSAGE + 1])
def test_a_message_of_any_size_is_refused_before_it_is_read(size: int) -> None:
    first, _ = fleet(2)
    reason = "too_large" if size > LONGEST_MESSAGE else "malformed"
    with pytest.raises(Refused, match=reason):
        Seal(first.replica.state.keys).open(bytes(size), "fleet", "people/x")


@pytest.mark.parametrize(
    ("head", "data"),
    [
        ({"id": "nobody"}, None),
        ({"counter": 2**53}, None),
        ({"counter": -1}, None),
        ({"counter": "1"}, None),
        ({"by": "me"}, None),
        ({"more": 1}, None),
        ({"profile": {"name": "x" * 300, "enabled": True}}, None),
        ({"profile": {"name": "x", "enabled": 1}}, None),
        ({"templates": [{"model": "m", "size": 4, "created_utc": ""}] * 161}, None),
        ({"templates": [{"model": "m", "size": 0, "created_utc": ""}]}, b""),
        ({}, b""),
        ({}, bytes(16)),
        ({}, b"\0\0\xc0\x7f" * 4),
    ],
)
def test_a_record_that_makes_no_sense_is_refused_whoever_signed_it(
    head: dict[str, object], data: bytes | None
) -> None:
    first, second = fleet(2)
    whole = {**ONE.head(), **stamp(first), **head}
    message = signed(first, TOPIC, Kind.PERSON, whole, ONE.data() if data is None else data)
    assert second.hear(TOPIC, message).refused in ("malformed", "topic")
    assert not second.people


def test_a_kind_cannot_pass_for_another() -> None:
    first, second = fleet(2)
    head = {"id": ONE.id, **stamp(first)}
    tombstone = signed(first, TOPIC, Kind.TOMBSTONE, head)
    plain = Seal(first.replica.state.keys).open(tombstone, first.replica.state.fleet, TOPIC)
    passed = bytes([Kind.PERSON]) + plain[1:]
    assert second.hear(TOPIC, first.replica.seal(TOPIC, passed)).refused == "malformed"
    head |= {"profile": ONE.profile.model_dump(), "templates": []}
    one = signed(first, TOPIC, Kind.PERSON, head)
    plain = Seal(first.replica.state.keys).open(one, first.replica.state.fleet, TOPIC)
    for kind in (Kind.HEAD, Kind.CHARTER, 77):
        other = first.replica.seal(TOPIC, bytes([kind]) + plain[1:])
        assert second.hear(TOPIC, other).refused == "kind"


def test_what_is_boxed_for_one_door_opens_for_it_alone_and_for_its_purpose() -> None:
    mine, other = new_boxer(), new_boxer()
    message = box(public_boxer(mine), b"the key", "key")
    assert unbox(mine, message, "key") == b"the key"
    for key, what, purpose in (
        (other, message, "key"),
        (mine, message, "join"),
        (mine, message[:-1], "key"),
        (mine, message[:20], "key"),
        (mine, bytes(LONGEST_MESSAGE + 1), "key"),
    ):
        with pytest.raises(Refused):
            unbox(key, what, purpose)


def test_what_the_root_key_signs_is_taken_of_nobody_else() -> None:
    state, other = found("front", NOW), found("front", NOW)
    for read in (
        lambda: read_certificate(state.certificate, other.root, state.fleet),
        lambda: read_certificate(state.certificate, state.root, other.fleet),
        lambda: read_charter(state.charter, other.root, state.fleet),
        lambda: read_key(state.charter, state.root, state.fleet, state.me),
    ):
        with pytest.raises(Refused):
            read()


def test_a_report_is_taken_of_a_door_with_a_certificate_of_its_own() -> None:
    founder = found("front", NOW)
    back = member(founder, "back", enrols=False)
    topic = f"doors/{back.me}/report"
    head = {
        "certificate": back.certificate.hex(), "time": NOW, "version": "1", "people": 1,
        "digest": "0" * 32, "gone": {}, "charter": 1, "epoch": 1,
    }  # fmt: skip

    def report(signer: bytes) -> bytes:
        return sign(signer, Kind.REPORT, back.fleet, topic, head)

    certificate, read = read_report(report(back.sign), back.root, back.fleet, topic)
    assert (certificate.door, read.people) == ("back", 1)
    with pytest.raises(Refused, match="signature"):
        read_report(report(founder.sign), back.root, back.fleet, topic)
    with pytest.raises(Refused, match="signature"):
        read_report(report(back.sign), back.root, back.fleet, "doors/other/report")


def test_versions_are_ordered_as_their_bytes_are() -> None:
    low, high = "00" * 8, "ff" * 8
    versions = [
        Version(False, 1, False, low, 9, "00" * 32),
        Version(False, 2, False, low, 1, "00" * 32),
        Version(False, 2, True, low, 0, "00" * 32),
        Version(False, 2, True, high, 0, "00" * 32),
        Version(False, 2, True, high, 1, "00" * 32),
        Version(False, 2, True, high, 1, "01" * 32),
        Version(True, 0, False, low, 0, "00" * 32),
    ]
    assert sorted(versions) == versions
    assert sorted(one.packed() for one in versions) == [one.packed() for one in versions]
    assert [Version.unpacked(one.packed()) for one in versions] == versions


def test_a_state_is_read_as_it_was_written() -> None:
    state = found("front", NOW)
    state.seen["00" * 8], state.gone["00" * 8] = 5, (1, "ab")
    assert State.from_bytes(state.to_bytes()) == state
    assert state.root_key.hex() not in repr(state)


def test_a_record_says_what_it_was_made_of() -> None:
    (first,) = fleet(1)
    message = said(first).message
    plain = Seal(first.replica.state.keys).open(message, first.replica.state.fleet, TOPIC)
    read = parse(plain, Kind.PERSON)
    assert version_of(read) == first.replica.version(ONE.id)
    assert content_of(read).profile == ONE.profile
