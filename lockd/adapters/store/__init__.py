"""People, their templates, messages to be published, and what the door remembers: SQLite.

One file, owned and readable by one user. The service and the enrolment commands open
it at the same time: write-ahead logging lets the service read while a command writes,
and `Store.gallery_changed` tells it at the cost of one pragma that it should look again.

A store that is missing is made. One of an earlier version is copied and then brought
up to date. One that is damaged, or not lockd's, is never touched, let alone made anew:
the error says so and leaves the file for its owner.

    schema.py    the tables, and the way from each version to the next
    database.py  the file: opening it, all-or-nothing, errors
    people.py    people and templates
    outbox.py    messages that the broker does not have yet
    memory.py    what the door must not forget in a power cut
"""

from __future__ import annotations

from lockd.adapters.store.memory import Memory
from lockd.adapters.store.outbox import Message, WaitingMessages
from lockd.adapters.store.people import MAX_NAME, Access, Enrolled, People, clean_name

__all__ = ["MAX_NAME", "Access", "Enrolled", "Message", "Store", "clean_name"]


class Store(People, WaitingMessages, Memory):
    """One open store. Not for use by two threads at once."""
