"""What a door must remember of its fleet, or what it heard could be taken from it again."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from lockd.fleet.charter import Certificate, Charter, dumped, read_charter
from lockd.fleet.sealing import (
    KEY_BYTES,
    Kind,
    id_of,
    new_boxer,
    new_signer,
    public_boxer,
    public_signer,
    sign,
)

_SECRETS = ("root", "sign", "box", "digest_key", "certificate", "charter", "root_key")


@dataclass(slots=True)
class State:
    """A door's part in a fleet; it has keys in it, and is to be kept sealed.

    Attributes:
        fleet: its id.
        door: the door's.
        root: the fleet's root key, public.
        sign: the door's own key, Ed25519, private; `box` its X25519 key, private.
        digest_key: with which all doors reckon their digests.
        certificate: what the root key signed for the door; `charter` the last one.
        keys: the fleet's, by number.
        seen: the greatest counter seen of each administrator.
        gone: of each administrator's list how many are known, and the hash there.
        expected: how many each of them is known to have removed, whether or not the list came.
        forked: administrators of whose list two kinds were seen.
        held: digest of all that is kept, so that nothing of it is turned back past lockd.
        root_key: the root key, private, where the fleet was founded.
        members: there alone: certificates of all doors by the names of their keys, hexadecimal.
    """

    fleet: str
    door: str
    root: bytes
    sign: bytes = field(repr=False)
    box: bytes = field(repr=False)
    digest_key: bytes = field(repr=False)
    certificate: bytes = field(repr=False)
    charter: bytes = field(repr=False)
    keys: dict[int, bytes] = field(repr=False)
    seen: dict[str, int] = field(default_factory=dict)
    gone: dict[str, tuple[int, str]] = field(default_factory=dict)
    expected: dict[str, int] = field(default_factory=dict)
    forked: list[str] = field(default_factory=list)
    held: str = "0" * 32
    root_key: bytes = field(default=b"", repr=False)
    members: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def me(self) -> str:
        """Return what names the door's key."""
        return id_of(public_signer(self.sign))

    def read_charter(self) -> Charter:
        """Return who may sign."""
        return read_charter(self.charter, self.root, self.fleet)[0]

    def to_bytes(self) -> bytes:
        """Return it as `from_bytes` reads it."""
        values: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        values |= {name: values[name].hex() for name in _SECRETS}
        values["keys"] = {str(number): key.hex() for number, key in self.keys.items()}
        return json.dumps(values).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> State:
        """Read what `to_bytes` wrote."""
        values = json.loads(data)
        values |= {name: bytes.fromhex(values[name]) for name in _SECRETS}
        values["keys"] = {int(one): bytes.fromhex(key) for one, key in values["keys"].items()}
        values["gone"] = {by: (count, head) for by, (count, head) in values["gone"].items()}
        return cls(**values)


def found(door: str, time: int) -> State:
    """Return the state of the first door of a new fleet."""
    root_key, fleet = new_signer(), secrets.token_hex(16)
    state = State(
        fleet=fleet,
        door=door,
        root=public_signer(root_key),
        sign=new_signer(),
        box=new_boxer(),
        digest_key=secrets.token_bytes(KEY_BYTES),
        certificate=b"",
        charter=b"",
        keys={1: secrets.token_bytes(KEY_BYTES)},
        root_key=root_key,
    )
    signer, boxer = public_signer(state.sign), public_boxer(state.box)
    admit(state, door, signer, boxer, enrols=True, time=time, first=True)
    state.certificate = bytes.fromhex(state.members[state.me])
    return state


def admit(
    state: State,
    door: str,
    signer: bytes,
    boxer: bytes,
    *,
    enrols: bool,
    time: int,
    first: bool = False,
) -> bytes:
    """Make a door a member, at the door with the root key; return its certificate.

    Args:
        signer: its public key, Ed25519; `boxer` its X25519 one.
        enrols: whether it may sign for all; then there is a new charter, too.
        first: whether there is no charter yet.
    """
    what = Certificate(door=door, sign=signer.hex(), box=boxer.hex(), enrols=enrols, time=time)
    signed = sign(state.root_key, Kind.CERTIFICATE, state.fleet, "certificate", dumped(what))
    state.members[id_of(signer)] = signed.hex()
    before = Charter(counter=0, epoch=1, administrators={}) if first else state.read_charter()
    if enrols:
        known = {**before.administrators, id_of(signer): signer.hex()}
        write_charter(state, before.model_copy(update={"administrators": known}))
    return signed


def write_charter(state: State, charter: Charter) -> None:
    """Sign a charter, with a counter greater by one."""
    wanted = charter.model_copy(update={"counter": charter.counter + 1})
    state.charter = sign(state.root_key, Kind.CHARTER, state.fleet, "charter", dumped(wanted))
