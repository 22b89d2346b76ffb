from __future__ import annotations

import pytest

from lockd.fleet.joining import (
    CODE_LENGTH,
    Channel,
    Commitment,
    Invitation,
    Inviter,
    Newcomer,
    Request,
    admitted_by_file,
    code_of,
    commitment,
    digits,
    new_code,
    read,
    said,
)
from lockd.fleet.sealing import Refused, new_boxer, new_signer
from lockd.fleet.state import found
from tests.fleet.doors import NOW, Door, person


def newcomer(door: str = "back") -> Newcomer:
    return Newcomer(door, new_signer(), new_boxer())


def test_a_door_that_joins_by_digits_hears_what_the_others_say() -> None:
    first = Door(found("front", NOW))
    inviter, joins = Inviter(), newcomer()
    assert digits(joins.request, inviter.invitation) == digits(joins.request, inviter.invitation)
    answer = inviter.admitted(first.replica.state, joins.request, enrols=False, time=NOW)
    second = Door(joins.received(answer, inviter.invitation))
    one = first.enrol(person(1))[0]
    assert second.hear(one.topic, one.message).person is not None
    assert not second.replica.administers
    assert second.replica.state.root_key == b""


def test_a_door_that_joins_by_file_may_be_let_enrol() -> None:
    first = Door(found("front", NOW))
    joins = newcomer()
    answer = admitted_by_file(first.replica.state, joins.request, enrols=True, time=NOW)
    second = Door(joins.received_file(answer))
    assert second.replica.administers
    with pytest.raises(Refused):
        newcomer().received_file(answer)


def test_whoever_exchanges_the_keys_changes_the_digits() -> None:
    inviter, joins = Inviter(), newcomer()
    good = digits(joins.request, inviter.invitation)
    between = newcomer("back")
    other = Inviter()
    assert digits(between.request, inviter.invitation) != good
    assert digits(joins.request, other.invitation) != good
    for one in ("door", "sign", "box", "once", "nonce"):
        value = "other" if one == "door" else "77" * 32
        changed = joins.request.model_copy(update={one: value})
        assert digits(changed, inviter.invitation) != good
        assert commitment(changed) != joins.commitment().commit


def test_a_package_of_another_than_the_digits_were_compared_with_is_refused() -> None:
    inviter, impostor, joins = Inviter(), Inviter(), newcomer()
    forged = impostor.admitted(found("b", NOW), joins.request, enrols=False, time=NOW)
    with pytest.raises(Refused, match="seal"):
        joins.received(forged, inviter.invitation)


def test_a_package_is_of_exactly_what_the_digits_were_compared_of() -> None:
    inviter, joins = Inviter(), newcomer()
    answer = inviter.admitted(found("a", NOW), joins.request, enrols=False, time=NOW)
    changed = inviter.invitation.model_copy(update={"nonce": "77" * 32})
    with pytest.raises(Refused, match="seal"):
        joins.received(answer, changed)
    joins.received(answer, inviter.invitation)


def test_a_door_that_was_thrown_out_cannot_join_with_the_same_key() -> None:
    from lockd.fleet.administrator import without
    from lockd.fleet.state import write_charter

    state, joins = found("front", NOW), newcomer()
    back = joins.received_file(admitted_by_file(state, joins.request, enrols=True, time=1))
    write_charter(state, without(state.read_charter(), back.me))
    with pytest.raises(Refused, match="revoked"):
        admitted_by_file(state, joins.request, enrols=True, time=1)


def test_a_new_door_knows_how_many_removals_must_come() -> None:
    first, joins = Door(found("front", NOW)), newcomer()
    first.enrol(person(1))
    first.remove(person(1).id)
    answer = admitted_by_file(first.replica.state, joins.request, enrols=False, time=NOW)
    second = Door(joins.received_file(answer))
    assert second.replica.problem() == "incomplete"
    for topic, (_, message) in first.kept.rows.items():
        second.hear(topic, message)
    assert second.replica.problem() is None


def test_a_door_for_which_nothing_can_be_boxed_is_not_let_in() -> None:
    first = Door(found("front", NOW))
    state, nothing = first.replica.state, "00" * 32
    before = dict(state.members)
    for which in ("box", "once"):
        request = newcomer().request.model_copy(update={which: nothing})
        with pytest.raises(Refused, match="key"):
            Inviter().admitted(state, request, enrols=False, time=NOW)
    request = newcomer().request.model_copy(update={"box": nothing})
    with pytest.raises(Refused, match="key"):
        admitted_by_file(state, request, enrols=False, time=NOW)
    assert state.members == before  # no other door could be thrown out any more
    with pytest.raises(Refused, match="key"):
        newcomer().received(bytes(64), Invitation(once=nothing, nonce=nothing))


def test_messages_without_the_code_or_of_another_step_are_not_heard() -> None:
    code = code_of(new_code())
    ours, other = Channel(code), Channel(code[:-1] + ("2" if code[-1] != "2" else "3"))
    message = ours.wrapped(ours.to_door, 1, b"hello")
    assert ours.unwrapped(ours.to_door, 1, message) == b"hello"
    assert ours.to_door == other.to_door
    assert other.unwrapped(ours.to_door, 1, message) is None
    assert ours.unwrapped(ours.to_door, 2, message) is None
    assert ours.unwrapped(ours.to_fleet, 1, message) is None
    assert ours.unwrapped(ours.to_door, 1, message[:20]) is None


def test_a_code_is_read_as_people_type_it() -> None:
    code = new_code()
    assert len(code_of(code)) == CODE_LENGTH
    assert code_of(f" {code.upper()} ".replace("-", " ")) == code_of(code)
    for wrong in ("", code[:-1], "0" * CODE_LENGTH):
        with pytest.raises(Refused, match="code"):
            code_of(wrong)


def test_what_makes_no_sense_is_refused() -> None:
    joins = newcomer()
    assert read(Request, said(joins.request)) == joins.request
    assert read(Commitment, said(joins.commitment())) == joins.commitment()
    for wrong in (b"", b"[]", b"{}", b"[" * 100_000, bytes(2 << 20), said(joins.request)[:-1]):
        with pytest.raises(Refused):
            read(Invitation, wrong)
