"""People, their templates, messages to be published, and what the door remembers: SQLite.

One file, owned and readable by one user. The service and the enrolment commands open
it at the same time: write-ahead logging lets the service read while a command writes,
and `Store.gallery_changed` tells it at the cost of one pragma that it should look again.

A store that is missing is made. One of an earlier version is copied and then brought
up to date. One that is damaged, or not lockd's, is never touched, let alone made anew:
the error says so and leaves the file for its owner.

People's templates and photographs are encrypted; names, rights and events are not.

    vault.py     the key, and sealing
    schema.py    the tables, and the way from each version to the next; copies.py before it
    database.py  the file: opening it, all-or-nothing, errors
    records.py   what is said of people, and what may be
    people.py    people, their rights and details; audit.py who changed them
    templates.py what their faces are compared with
    removal.py   forgetting somebody, and making sure of it
    care.py      is it whole, backups; restoring.py puts one back
    outbox.py    messages that the broker does not have yet
    events.py    events kept here
    memory.py    what the door must not forget in a power cut
    nonces.py    which commands from afar were seen
"""

from __future__ import annotations

from lockd.adapters.store.care import Care
from lockd.adapters.store.copies import unseal
from lockd.adapters.store.files import identity
from lockd.adapters.store.memory import Memory
from lockd.adapters.store.nonces import SeenNonces
from lockd.adapters.store.outbox import Posting, WaitingMessage, WaitingMessages
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
from lockd.adapters.store.restoring import restore
from lockd.adapters.store.templates import Reading
from lockd.adapters.store.vault import Vault, make_key

__all__ = [
    "MAX_NAME",
    "STORE_PAUSE_S",
    "Access",
    "AuditEntry",
    "Details",
    "Enrolled",
    "Fault",
    "Posting",
    "Reading",
    "Removal",
    "Store",
    "StoredTemplate",
    "Vault",
    "WaitingMessage",
    "clean_name",
    "identity",
    "make_key",
    "restore",
    "unseal",
]


STORE_PAUSE_S = 2.0
"""How long a store that failed is left alone: waiting for its lock at every frame would
slow the looking down."""


class Store(Care, WaitingMessages, Memory, SeenNonces):
    """One open store. Not for use by two threads at once."""
