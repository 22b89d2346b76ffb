"""What to do with each person of an exported file, and doing it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from enroll.everybody import Everybody, everybody_in
from enroll.people import rule_of
from enroll.portable import PortablePerson, PortableTemplate
from lockd.adapters.store import MAX_NAME, Enrolled, Store, clean_name
from lockd.adapters.store.records import checked, checked_details
from lockd.config import Settings
from lockd.console import administrator, counted, printable
from lockd.errors import PersonError
from lockd.recognition.recogniser import Vision
from lockd.types import Embedding, Person


@dataclass(frozen=True, slots=True)
class Step:
    """What is done with one person.

    Attributes:
        name: theirs.
        templates: how many of them this door can use.
        action: added, replaced, unchanged or refused.
        why: they are refused, and the way out; or what else to know.
    """

    name: str
    templates: int
    action: str
    why: str = ""

    @property
    def refused(self) -> bool:
        """Whether nothing was to be done although the file asks for it."""
        return self.action == "refused"

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return asdict(self)


class Importer:
    """Enrols people who come as templates."""

    def __init__(
        self, settings: Settings, store: Store, *, replace: bool, anyway: str | None
    ) -> None:
        """Read who is enrolled.

        Args:
            store: where people are kept.
            replace: whether those who are enrolled may be replaced.
            anyway: why people may look like others, for the audit trail; or None.
        """
        vision = Vision(settings)
        self._store = store
        self._replace = replace
        self._anyway = anyway
        self._settings = settings
        self._space = vision.embedder.space
        self._accept = rule_of(settings, vision).accept
        self._everybody: Everybody = everybody_in(store, self._space)

    def step(self, one: PortablePerson, *, write: bool) -> Step:
        """Decide about one person and, if it is to be, do it, in one transaction.

        Raises:
            StoreError: if the store cannot be written; then nothing was.
        """
        usable = [
            kept
            for kept in one.templates
            if self._space.brought(kept.model, kept.vector()) is not None
        ]
        try:
            name = clean_name(one.name)
            checked(Person("", name, **one.access()))
            checked_details(one.details())
            there = self._store.people.find(name)
            if there is not None and self._same(there, one, usable):
                return Step(name, len(usable), "unchanged")
            self._check(one, usable, there)
            person = self._put(name, one, usable) if write else Person(f"new {name}", name)
        except PersonError as error:
            return Step(printable(one.name)[:MAX_NAME], len(usable), "refused", str(error))
        if there is not None and not write:
            person = there.person
        self._everybody.replace(person, self._compared(usable))
        return Step(name, len(usable), "replaced" if there else "added", self._remark(one, usable))

    def _check(
        self, one: PortablePerson, usable: list[PortableTemplate], there: Enrolled | None
    ) -> None:
        """Look for a reason to refuse somebody.

        Raises:
            PersonError: with the reason.
        """
        if not usable:
            raise PersonError(
                f"{one.name}: no template of the networks in use here; use the same "
                "recognition.profile and release on both doors, or enrol them from photographs"
            )
        if there is not None and not self._replace:
            raise PersonError(f"{one.name}: enrolled here otherwise; see --replace")
        if self._anyway is not None:
            return
        pictures = np.stack(self._compared(usable))
        id_ = there.person.id if there else None
        other, likeness = max(
            self._everybody.nearest_other(pictures, id_), key=lambda pair: pair[1]
        )
        if other is not None and likeness >= self._accept:
            raise PersonError(
                f"{one.name}: too like {other.name} (similarity {likeness:.2f}; the door takes "
                f"{self._accept:g} for them); if both are right, say --anyway with the reason"
            )

    def _compared(self, usable: list[PortableTemplate]) -> list[Embedding]:
        brought = [self._space.brought(kept.model, kept.vector()) for kept in usable]
        return [one for one in brought if one is not None]

    def _put(self, name: str, one: PortablePerson, usable: list[PortableTemplate]) -> Person:
        keep = self._settings.store.keep_photographs
        return self._store.people.put(
            name,
            [kept.model for kept in usable],
            [kept.vector() for kept in usable],
            by=administrator(),
            note="import" if self._anyway is None else f"import, anyway: {self._anyway}",
            photographs=[kept.photograph if keep else None for kept in usable],
            factors=one.new_factors(),
            details=one.details(),
            enabled=one.enabled,
            **one.access(),
        )

    def _same(self, there: Enrolled, one: PortablePerson, usable: list[PortableTemplate]) -> bool:
        """Whether somebody enrolled here is just as the file has them."""
        here = there.person
        access = one.access()
        stored = self._store.templates.of(here.name)
        return (
            there.enabled == one.enabled
            and there.details == one.details()
            and (here.groups, here.valid_from, here.valid_until)
            == (access["groups"], access["valid_from"], access["valid_until"])
            and sorted(kept.embedding.astype("<f4").tobytes() for kept in stored)
            == sorted(kept.embedding for kept in usable)
            and sorted((kept.kind, kept.kept) for kept in self._store.factors.of(here.name))
            == sorted(one.new_factors())
        )

    def _remark(self, one: PortablePerson, usable: list[PortableTemplate]) -> str:
        unknown = sorted(set(one.groups) - set(self._settings.access.groups))
        remarks = [f"group {name} is unknown here" for name in unknown]
        if len(usable) < len(one.templates):
            remarks.append(
                f"{counted(len(one.templates) - len(usable), 'template')} of other networks"
            )
        return "; ".join(remarks)
