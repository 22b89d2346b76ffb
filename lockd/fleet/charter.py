"""Who may sign, which key is in use; a door's certificate, and what it reports.

The fleet's root key signs three things and nothing else: the charter, the certificate of each door,
and the fleet's key for it. It lies in the store of the door that founded the fleet.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from lockd.fleet.records import Counter, KeyId, Part, read
from lockd.fleet.sealing import Kind, Refused, parse

CHARTER, KEYS, HEADS, DOORS = "charter", "keys", "heads", "doors"
"""Topics below the fleet's."""

Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Epoch = Annotated[int, Field(ge=1, le=2**32 - 1)]
_Door = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class Charter(Part):
    """Who may sign for the fleet.

    Attributes:
        counter: the greatest counts.
        epoch: number of the key in use.
        administrators: by the name of each key the key, Ed25519, hexadecimal.
        revoked: names of keys that nothing is taken of any more.
    """

    counter: Counter
    epoch: _Epoch
    administrators: dict[KeyId, Hex32]
    revoked: Annotated[list[KeyId], Field(max_length=10_000)] = Field(default=[])


class Certificate(Part):
    """The root key says that a door belongs to the fleet.

    Attributes:
        door: its id.
        sign: its key, Ed25519, hexadecimal.
        box: what is boxed for it, X25519, hexadecimal.
        enrols: whether it may sign for all.
        time: since when, seconds since 1970.
    """

    door: _Door
    sign: Hex32
    box: Hex32
    enrols: bool
    time: int


class FleetKey(Part):
    """The fleet's key, for one door."""

    door: KeyId
    epoch: _Epoch
    key: Hex32


class Head(Part):
    """What an administrator has signed so far, so that nothing of it is kept back unnoticed.

    The data are 8 bytes for each of the 256 shards: a digest of who they have there.

    Attributes:
        gone: how many they removed; gone_hash: the hash at the end of that list.
    """

    by: KeyId
    counter: Counter
    time: int
    gone: Counter
    gone_hash: Hex32


class Report(Part):
    """What a door holds.

    Attributes:
        certificate: the door's, as it was signed, hexadecimal.
        people: how many it has.
        digest: of who they are, and of who is gone.
        gone: how many of each administrator's list it has.
        problem: what keeps it from more, in a word.
        left: whether it leaves the fleet.
    """

    certificate: Annotated[str, Field(max_length=4096, pattern=r"^([0-9a-f]{2})*$")]
    time: int
    version: Annotated[str, Field(max_length=64)]
    people: Counter
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    gone: dict[KeyId, Counter]
    charter: Counter
    epoch: _Epoch
    problem: Annotated[str, Field(max_length=64)] | None = None
    left: bool = False


def read_certificate(plain: bytes, root: bytes, fleet: str) -> Certificate:
    """Return what a certificate says, if the root key signed it.

    Raises:
        Refused: if not.
    """
    said = parse(plain, Kind.CERTIFICATE)
    said.verify(root, fleet, "certificate")
    return read(Certificate, said.head)


def read_report(plain: bytes, root: bytes, fleet: str, topic: str) -> tuple[Certificate, Report]:
    """Return what a door reports, if it is of the fleet and signed it.

    Raises:
        Refused: if not.
    """
    said = parse(plain, Kind.REPORT)
    report = read(Report, said.head)
    certificate = read_certificate(bytes.fromhex(report.certificate), root, fleet)
    said.verify(bytes.fromhex(certificate.sign), fleet, topic)
    return certificate, report


def read_charter(plain: bytes, root: bytes, fleet: str) -> tuple[Charter, str]:
    """Return a charter that the root key signed, and what names it.

    Raises:
        Refused: if it did not.
    """
    said = parse(plain, Kind.CHARTER)
    said.verify(root, fleet, CHARTER)
    return read(Charter, said.head), said.digest


def read_key(plain: bytes, root: bytes, fleet: str, door: str) -> FleetKey:
    """Return the fleet's key for a door, if the root key signed it.

    Raises:
        Refused: if it did not, or it is for another door.
    """
    said = parse(plain, Kind.KEY)
    said.verify(root, fleet, f"{KEYS}/{door}")
    found = read(FleetKey, said.head)
    if found.door != door:
        raise Refused("topic")
    return found


def dumped(part: Part) -> dict[str, Any]:
    """Return a part for the head of a message."""
    return part.model_dump()
