"""Opening the store that is configured: for a command, or for the service."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager

from lockd.adapters.store.store import Store
from lockd.adapters.store.vault import Vault
from lockd.config import StoreSettings
from lockd.errors import StoreError

log = logging.getLogger(__name__)

PATIENCE_S = 0.2
"""How long the service's loop waits for somebody else who writes."""


@contextmanager
def opened(
    settings: StoreSettings, *, writable: bool = False, make: bool = False, revoking: bool = False
) -> Iterator[Store]:
    """Open the store for a command, and close it.

    Args:
        writable: whether it is to be written.
        make: whether one that is missing is made, to be written.
        revoking: see `Store.open`.

    Raises:
        StoreError: if it cannot be opened, or is missing and not to be made.
    """
    path, vault, file = settings.path(), Vault.open(settings), settings.generation_file
    if not make and not path.exists():  # looking must not make a store
        raise StoreError(f"{path}: there is no store yet; `lockd-enroll add` makes it")
    if writable or make:
        store = Store.open(path, vault, revoking=revoking, generation_file=file)
        store.database.reserve.make()
    else:
        store = Store.open_read_only(path, vault, generation_file=file)
    with closing(store):
        yield store


def open_for_service(
    settings: StoreSettings, *, make: bool, patience_s: float = PATIENCE_S
) -> Store:
    """Open the store, for reading only if no more can be had: doors must open.

    Args:
        make: whether one that is missing is made.
        patience_s: how long to wait for somebody else who writes.

    Raises:
        StoreError: if it cannot even be read.
    """
    path, vault, file = settings.path(), Vault.open(settings), settings.generation_file
    if not make and not path.exists():
        raise StoreError(f"store {path}: it is gone; put it back, or restart lockd for a new one")
    try:
        store = Store.open(path, vault, timeout_s=patience_s, generation_file=file)
    except StoreError as error:
        try:
            store = Store.open_read_only(path, vault, generation_file=file)
        except StoreError:
            raise error from None  # it says more
        log.error("%s; people are recognised, events are not kept over a restart", error)
    else:
        store.database.reserve.make()
    return store
