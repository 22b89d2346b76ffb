"""From photographs to enrolled people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lockd.adapters.store import Access, Store
from lockd.config import Settings
from lockd.console import administrator
from lockd.errors import ImageError, LockdError, PersonError
from lockd.photographs import template_of
from lockd.watcher import Vision


@dataclass(slots=True)
class Outcome:
    """What became of one person's photographs.

    Attributes:
        name: theirs.
        accepted: how many photographs were enrolled.
        refused: why each of the others was not.
    """

    name: str
    accepted: int = 0
    refused: list[LockdError] = field(default_factory=list)


class Enroller:
    """Turns photographs into templates and puts them into a store."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._store = store
        self._vision = Vision(settings)
        self._limits = settings.quality.limits()

    def outdated(self) -> list[str]:
        """Return the names of those whose templates other networks made, so are of no use."""
        return [one.name for one in self._store.outdated(self._vision.embedder.fingerprint)]

    def add(
        self,
        name: str,
        photos: Sequence[Path],
        done: Callable[[], None],
        *,
        replace_outdated: bool = False,
        access: Access | None = None,
    ) -> Outcome:
        """Enrol one person; everything accepted is written at once, in one transaction.

        Args:
            name: theirs.
            photos: to be judged one by one.
            done: called after each.
            replace_outdated: also forget the templates that other networks made of them.
            access: their rights, as far as they are given.

        Raises:
            StoreError: if the store cannot be written; then nothing was.
        """
        outcome = Outcome(name)
        embeddings = []
        for photo in photos:
            try:
                embeddings.append(template_of(photo, self._vision, self._limits))
            except ImageError as error:
                outcome.refused.append(error)
            done()
        if embeddings:
            model = self._vision.embedder.fingerprint
            try:
                self._store.add(
                    name,
                    model,
                    embeddings,
                    by=administrator(),
                    replace_outdated=replace_outdated,
                    **(access or Access()),
                )
            except PersonError as error:
                outcome.refused.append(error)
            else:
                outcome.accepted = len(embeddings)
        return outcome
