"""`python -m enroll.desk`: judges photographs for the console, as a child process of the service.

The first line of standard input is the configuration; each further one a request, with so many
bytes after it: photographs, one after the other. An answer on standard output is a line with
how many bytes follow, and those: JSON. It judges as `lockd-enroll add` does, and its decoder
and networks are in a process of their own, which the system ends first if memory is short.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lockd.console import reported
from lockd.errors import ImageError, LockdError, PersonError
from lockd.paths import ON_BEHALF_OF

if TYPE_CHECKING:
    from lockd.config import Settings
    from lockd.recognition.photographs import Photograph
    from lockd.recognition.recogniser import Vision

MOST = 20
"""Photographs in one request."""
MAX_BYTES = 16 * 2**20
"""Of one photograph."""
_LONGEST_LINE = 2**20
_THUMB_PX = 240


@click.command()
@click.option("--idle", "idle_s", type=float, default=120.0, help="End after so long, s.")
@reported
def desk(idle_s: float) -> None:
    """Judge photographs for the console; for the service alone."""
    from lockd.config import Settings  # noqa: PLC0415

    with contextlib.suppress(OSError):  # short of memory, this one goes, not the service
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")
    source = sys.stdin.buffer
    settings = Settings.model_validate_json(source.readline(_LONGEST_LINE))
    at = Desk(settings)
    while line := source.readline(_LONGEST_LINE):
        values = json.loads(line)
        content = json.dumps(
            at.answer(values, source.read(int(values["bytes"]))), ensure_ascii=False
        ).encode()
        sys.stdout.buffer.write(b"%d\n" % len(content) + content)
        sys.stdout.buffer.flush()
        # Whoever asks waits for the answer first: nothing more is here already.
        if not select.select([source], [], [], idle_s)[0]:
            return


class Desk:
    """Judges photographs, and enrols people from them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._vision: Vision | None = None

    def answer(self, values: Mapping[str, Any], body: bytes) -> dict[str, Any]:
        """Do what is asked; whatever is wrong with a photograph is said of it.

        Args:
            values: ``command``, ``by``, and the ``sizes`` of the photographs in `body`.
        """
        os.environ[ON_BEHALF_OF] = str(values["by"])
        try:
            pictures = list(_parts(values.get("sizes", []), body))
            if values["command"] == "alike":
                return {"result": "ok", **self._alike()}
            if not pictures:
                raise ValueError("no photographs")
            if values["command"] == "recognise":
                return {"result": "ok", **self._recognise(pictures[0])}
            return {"result": "ok", **self._enrol(values, pictures)}
        except PersonError as error:
            return {"result": "refused", "reason": str(error)}
        except ImageError as error:
            return {"result": "refused", "reason": str(error), "code": error.reason}
        except (KeyError, TypeError, ValueError) as error:
            return {"result": "malformed", "reason": str(error)[:200]}
        except LockdError as error:
            return {"result": "failed", "reason": str(error)}

    @property
    def vision(self) -> Vision:
        """The networks, loaded when they are asked for."""
        if self._vision is None:
            from lockd.recognition.recogniser import Vision  # noqa: PLC0415

            self._vision = Vision(self._settings)
        return self._vision

    def _recognise(self, picture: bytes) -> dict[str, Any]:
        from lockd.recognition.identifier import Identifier, face_as_dict  # noqa: PLC0415

        photograph = self._photograph(picture, "photograph")
        height, width = photograph.image.shape[:2]
        found = Identifier(self._settings, None, self.vision).among(photograph)
        return {"width": width, "height": height, "faces": [face_as_dict(one) for one in found]}

    def _photograph(self, picture: bytes, label: str) -> Photograph:
        from lockd.recognition.photographs import examine  # noqa: PLC0415

        return examine(picture, label, self.vision)

    def _enrol(self, values: Mapping[str, Any], pictures: list[bytes]) -> dict[str, Any]:
        """Judge the photographs of one person; with the request `enrol`, keep the good ones."""
        from enroll.people import CandidateVerdict, Enroller, EnrolmentOutcome  # noqa: PLC0415
        from lockd.adapters.store import opened  # noqa: PLC0415

        keep = values["command"] == "enrol"
        with opened(self._settings.store, make=True) as store:
            enroller = Enroller(self._settings, store, self.vision)
            outcome, candidates, thumbs = EnrolmentOutcome(str(values["name"])), [], []
            for number, picture in enumerate(pictures):
                label = f"photograph {number + 1}"
                try:
                    photograph = self._photograph(picture, label)
                    thumbs.append((label, _thumbnail(photograph)))
                    candidates.append(enroller.candidate(photograph.image, label))
                except ImageError as error:
                    outcome.verdicts.append(CandidateVerdict(label, error.reason, str(error)))
            if keep:
                if values.get("new") and store.people.find(outcome.name) is not None:
                    raise PersonError(f"{outcome.name}: somebody of that name is enrolled already")
                enroller.enrol(outcome, candidates, self._terms(values))
            else:
                outcome.verdicts += enroller.verdicts(outcome.name, candidates)
            if outcome.error is not None:
                raise outcome.error
            person = store.people.find(outcome.name)
        told = {
            one.label: {"accepted": one.accepted, "reason": one.reason, "message": one.message}
            for one in outcome.verdicts
        }
        known = dict(thumbs)
        order = [f"photograph {number + 1}" for number in range(len(pictures))]
        return {
            "name": outcome.name,
            "known": person is not None,
            "id": None if person is None else person.person.id,
            "accepted": sum(one.accepted for one in outcome.verdicts),
            "templates": 0 if person is None else person.templates,
            "pictures": [{**told[label], "face": known.get(label)} for label in order],
        }

    def _terms(self, values: Mapping[str, Any]) -> Any:
        from enroll.adding import terms_of  # noqa: PLC0415

        return terms_of(
            self._settings,
            groups=tuple(str(one) for one in values.get("groups") or ()),
            valid_from=values.get("valid_from") or None,
            valid_until=values.get("valid_until") or None,
            external_id=values.get("external_id") or None,
            note=values.get("notes") or None,
            consent_by=values.get("consent_by") or None,
            consent_date=values.get("consent_utc") or None,
            anyway=values.get("anyway") or None,
        )

    def _alike(self) -> dict[str, Any]:
        """Who looks most like whom, and how alike that is, the most alike first."""
        from enroll.everybody import everybody_in  # noqa: PLC0415
        from enroll.people import rule_of  # noqa: PLC0415
        from lockd.adapters.store import opened  # noqa: PLC0415

        embedder = self.vision.embedder
        found = []
        with opened(self._settings.store) as store:
            everybody = everybody_in(store, embedder.space)
            for one in store.people.all():
                own = everybody.own(one.person.id)
                if len(own):
                    other, like = max(
                        everybody.nearest_other(own, one.person.id), key=lambda pair: pair[1]
                    )
                    if other is not None:
                        found.append({"person": one.person.name, "other": other.name,
                                      "similarity": round(like, 4)})  # fmt: skip
        found.sort(key=lambda pair: -float(str(pair["similarity"])))
        return {"pairs": found, "accept": rule_of(self._settings, self.vision).accept}


def _parts(sizes: object, body: bytes) -> Iterator[bytes]:
    """The photographs, by their sizes."""
    if not isinstance(sizes, list) or len(sizes) > MOST:
        raise ValueError(f"at most {MOST} photographs")
    place = 0
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MAX_BYTES:
            raise ValueError(f"a photograph has at most {MAX_BYTES >> 20} MiB")
        yield body[place : place + size]
        place += size
    if place != len(body):
        raise ValueError("the sizes are not those of the photographs")


def _thumbnail(photograph: Photograph) -> str:
    """The largest face, or all of a photograph without one, as a JPEG in base64."""
    from lockd.vision.pictures import around, encode_jpeg, smaller  # noqa: PLC0415

    image = photograph.image
    if photograph.faces:
        image = around(image, photograph.faces[0].box)
    return b64encode(encode_jpeg(smaller(image, _THUMB_PX), 85)).decode()


if __name__ == "__main__":
    desk()
