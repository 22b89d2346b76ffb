"""The one row in which the seal over everybody is kept."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from lockd.adapters.store.schema import Database
from lockd.adapters.store.vault import SealError
from lockd.errors import StoreError

_PURPOSE = "roll"


@dataclass(slots=True)
class State:
    """What the seal has.

    Attributes:
        key: of sums and links, hexadecimal; without it nobody can reckon them.
        generation: how often people were changed.
        people: the sum over everybody, hexadecimal.
        first: number of the audit trail's first entry.
        before: the link that this one hangs on.
        last: number of its last entry.
        link: of that.
        unsealed: number of the last entry that was there when this seal was made in the place of
            one that was lost; nothing can be told of those.
        witnessed: whether a file outside has known a generation of this store.
        liveness: nonce of what is kept of it, hexadecimal.
        fleet: the same of what is kept of a fleet.
        tries: wrong ones in a row, by person's id.
    """

    key: str
    generation: int
    people: str
    first: int = 1
    before: str = ""
    last: int = 0
    link: str = ""
    unsealed: int = 0
    witnessed: bool = False
    liveness: str = ""
    fleet: str = ""
    tries: dict[str, int] = field(default_factory=dict)


def read_state(database: Database) -> State:
    """Return what the seal has.

    Raises:
        StoreError: if it was altered, or is gone.
    """
    try:
        sealed = database.value("SELECT sealed FROM roll")
        values = json.loads(database.vault.unseal(sealed or b"", _PURPOSE))
    except SealError:
        raise StoreError(
            f"store {database.path}: the seal over the people was altered or is gone"
        ) from None
    return State(**values)


def write_state(database: Database, state: State) -> None:
    """Seal it anew, within a transaction."""
    sealed = database.vault.seal(json.dumps(asdict(state)).encode(), _PURPOSE)
    database.run("INSERT OR REPLACE INTO roll VALUES (1, ?)", sealed)
