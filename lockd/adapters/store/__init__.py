"""People, their templates, messages to be published, and what the door remembers: SQLite.

One file, owned and readable by one user. The service and the enrolment commands open
it at the same time: write-ahead logging lets the service read while a command writes,
and `store.gallery.changed` tells it at the cost of one pragma that it should look again.

A store that is missing is made. One of an earlier version is brought up to date. One that
is damaged, or not lockd's, is never touched, let alone made anew: the error says so and
leaves the file for its owner.

Templates, pictures, PINs and cards are encrypted; names, rights and events are not,
but rights are sealed, and the audit trail is a chain.

    store.py     one open store, and its parts; opening.py the one that is configured
    own.py       a thread's own, opened anew when it failed
    database.py  the file: opening it, all-or-nothing, errors
    descriptors.py  of that file, which must outlive SQLite's
    schema.py    the tables, and the way from each version to the next
    turns.py     which thread may write next
    reserve.py   room to take rights away when the disk is full
    vault.py     the key, and sealing
    people.py    people, their rights and details: adding, changing, merging, removing them
    templates.py what their faces are compared with; gallery.py reads it as it changes
    factors.py   their PINs and cards
    rights.py    what the door goes by of a person, sealed; roll.py the seal over everybody,
                 kept in the row of sealed_state.py, with a sum from tally.py
    witness.py   the latest generation, kept outside of the store; turned.py whom an older one has
    rows.py      a person's row; records.py what is said of people, and what may be
    removal.py   making sure that somebody is forgotten
    audit.py     who changed what; chain.py what keeps it from being altered
    outbox.py    messages that the broker does not have yet
    events.py    events kept here; strangers.py pictures of strangers
    memory.py    what the door must not forget in a power cut
    nonces.py    which commands from afar were seen
    liveness.py  how live people score here; fleet.py what is shared with other doors
    care.py      is it whole, backups; restoring.py puts one back

Whatever changes several parts does so in one transaction of the database that all of them
have in common.
"""

from __future__ import annotations

from lockd.adapters.store.events import EventFilter
from lockd.adapters.store.factors import KeptFactor, NewFactor
from lockd.adapters.store.fleet import Change, Held, SupersededError
from lockd.adapters.store.gallery import Reading
from lockd.adapters.store.nonces import SeenCommand
from lockd.adapters.store.opening import open_for_service, opened
from lockd.adapters.store.outbox import Posting, WaitingMessage
from lockd.adapters.store.own import STORE_PAUSE_S, OwnStore
from lockd.adapters.store.records import (
    MAX_NAME,
    Access,
    AuditEntry,
    Details,
    Enrolled,
    Fault,
    Removal,
    StoredTemplate,
    clean_name,
)
from lockd.adapters.store.removal import UNREACHED
from lockd.adapters.store.restoring import restore
from lockd.adapters.store.store import Store
from lockd.adapters.store.strangers import StrangerPicture
from lockd.adapters.store.turned import Returning
from lockd.adapters.store.vault import Vault, make_key

__all__ = [
    "MAX_NAME",
    "STORE_PAUSE_S",
    "UNREACHED",
    "Access",
    "AuditEntry",
    "Change",
    "Details",
    "Enrolled",
    "EventFilter",
    "Fault",
    "Held",
    "KeptFactor",
    "NewFactor",
    "OwnStore",
    "Posting",
    "Reading",
    "Removal",
    "Returning",
    "SeenCommand",
    "Store",
    "StoredTemplate",
    "StrangerPicture",
    "SupersededError",
    "Vault",
    "WaitingMessage",
    "clean_name",
    "make_key",
    "open_for_service",
    "opened",
    "restore",
]
