"""One open store, and its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from lockd.adapters.store.audit import Audit
from lockd.adapters.store.care import Care
from lockd.adapters.store.database import Database
from lockd.adapters.store.events import Events
from lockd.adapters.store.factors import Factors
from lockd.adapters.store.fleet import Fleet
from lockd.adapters.store.gallery import StoredGallery
from lockd.adapters.store.liveness import Liveness
from lockd.adapters.store.memory import Memory
from lockd.adapters.store.nonces import Nonces
from lockd.adapters.store.outbox import Outbox
from lockd.adapters.store.people import People
from lockd.adapters.store.strangers import Strangers
from lockd.adapters.store.templates import Templates
from lockd.adapters.store.vault import Vault
from lockd.adapters.store.witness import witness_of


class Store:
    """One open store. Not for use by two threads at once.

    Attributes:
        path: its file.
        writable: whether it can be written.
        people: who is enrolled.
        templates: what their faces are compared with.
        factors: their PINs and cards.
        gallery: people and templates, as the door is to know them.
        outbox: messages that the broker does not have yet.
        events: those that are kept.
        strangers: pictures of them, if any are kept.
        audit: who changed what.
        memory: what the door must not forget.
        nonces: which commands from afar were seen.
        liveness: how live people score here.
        fleet: what is shared with other doors.
        care: for the store as a whole.
        database: what all of them are in.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.path, self.writable = database.path, database.writable
        self.audit = Audit(database)
        self.events = Events(database)
        self.outbox = Outbox(database)
        self.strangers = Strangers(database, self.audit)
        self.memory = Memory(database)
        self.nonces = Nonces(database)
        self.liveness = Liveness(database)
        self.templates = Templates(database, self.audit)
        self.gallery = StoredGallery(database)
        self.factors = Factors(database, self.audit)
        self.people = People(database, self.templates, self.factors, self.events, self.audit)
        self.fleet = Fleet(database, self.people, self.templates, self.factors)
        self.care = Care(database, self.audit)

    @classmethod
    def open(
        cls,
        path: Path,
        vault: Vault,
        *,
        timeout_s: float = 10.0,
        revoking: bool = False,
        generation_file: Path | None = None,
        copy: bool = False,
    ) -> Self:
        """Open a store, or make an empty one where there is none.

        Args:
            path: the database file; its folder is made if need be.
            timeout_s: how long to wait for another process that is writing.
            revoking: whether somebody's rights are to be taken away, for which there is a reserve
                if the disk is full.
            generation_file: what knows the latest generation of the people; by default it lies
                beside the store.
            copy: whether it is one, of whatever generation.

        Raises:
            StoreError: if it cannot be read and written, is damaged, was written by lockd 0.1
                or a later version, or was encrypted with another key. One of an earlier
                version is brought up to date.
        """
        witness = None if copy else witness_of(path, vault, generation_file)
        return cls(Database.open(path, vault, timeout_s, witness=witness, revoking=revoking))

    @classmethod
    def open_read_only(
        cls, path: Path, vault: Vault, *, generation_file: Path | None = None
    ) -> Self:
        """Open a store that cannot be written, on a medium gone read-only.

        Raises:
            StoreError: if it is missing, damaged or not of this version, or was encrypted
                with another key.
        """
        witness = witness_of(path, vault, generation_file)
        return cls(Database.open_read_only(path, vault, witness))

    def close(self) -> None:
        """Close the file."""
        self.database.close()
