"""Answers the console: it asks in the name of one of its users, and each may do so much.

The kernel says that it is the console. For whom it asks it says itself, with that user's role:
so whoever breaks into it can do what `console.may` allows, and nothing else. What is to be looked
up or written in the store, and what concerns photographs, is done in the control socket's
threads and in a child process: the service's own thread only looks who may what.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lockd.adapters.machine import memory_mb, temperature_c
from lockd.adapters.store import opened
from lockd.config import Settings
from lockd.errors import LockdError, PersonError, StoreError
from lockd.messages import EventType, public
from lockd.ports import Emit, Request
from lockd.remote.commands import DOOR
from lockd.remote.roles import NEEDS, Role, least
from lockd.remote.signing import LONGEST_S
from lockd.service.console_store import LOOKS, changed, looked_up
from lockd.service.console_watch import face_jpeg, live_jpeg, without_strangers_likeness
from lockd.service.door_controller import DoorController
from lockd.service.parts import ConsoleParts
from lockd.service.remote_handlers import SILENCE_S
from lockd.types import Image

log = logging.getLogger(__name__)

NEWS_WAIT_S = 10.0
"""How long whoever waits for news does at most."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_ADDRESS = re.compile(r"[0-9A-Za-z:.%_-]{1,45}")
_WITH_PICTURES = ("judge", "enrol", "recognise", "alike")
_NOTES = re.compile(r"[a-z ]{1,40}")

_LISTS = ("people", "events", "entries", "pictures")

Told = tuple[dict[str, Any], bytes]


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom the console asks.

    Attributes:
        by: as events and the audit trail have them, with where they are.
        role: what they may, at most what the console may.
    """

    by: str
    role: Role


def caller_of(values: object, most: Role) -> Caller | None:
    """Return for whom a request is made, or None if it does not say so properly.

    Args:
        values: its ``as``: name, role and address.
        most: what the console may.
    """
    if not isinstance(values, dict):
        return None
    name, address = values.get("name"), values.get("address")
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        return None
    if not (isinstance(address, str) and _ADDRESS.fullmatch(address)):
        return None
    try:
        role = Role(str(values.get("role")))
    except ValueError:
        return None
    return Caller(f"{name}@{address} (console)"[:64], least(role, most))


class ConsoleDesk:
    """What the console may ask of one service."""

    def __init__(
        self,
        settings: Settings,
        parts: ConsoleParts,
        door: DoorController,
        state: Callable[[], dict[str, Any]],
        emit: Emit,
        silence: Callable[[float], None],
    ) -> None:
        """Take requests.

        Args:
            parts: what is seen, what judges photographs, and what looks at the machine.
            state: returns what is published of the service.
            emit: takes events.
            silence: lets nobody be disturbed for a while.
        """
        self._settings = settings
        self._watch = parts.watch
        self._door = door
        self._state = state
        self._emit = emit
        self._silence = silence
        self._pictures = parts.pictures
        self._checks = parts.checks

    def take(self, request: Request, now: float, camera_problem: str | None) -> None:
        """Look who asks for whom, and obey and answer if they may."""
        console, command = self._settings.console, request.values.get("command")
        if request.by != console.user:
            log.warning("the console's socket: refused to %s", request.by)
            request.answer({"result": "not_allowed", "reason": "not the console's user"})
            return
        if command == "settings":
            request.answer(self.own_settings())
            return
        caller = caller_of(request.values.get("as"), console.may)
        needed = NEEDS.get(command) if isinstance(command, str) else None
        if caller is None or needed is None or not isinstance(command, str):
            request.answer({"result": "malformed", "reason": f"requests: {', '.join(NEEDS)}"})
        elif not caller.role.may_act_as(needed):
            log.warning("console: %s: not allowed to %s", command, caller.by)
            self._write_later(request, caller, f"{command}: not allowed", {
                "result": "not_allowed", "reason": f"needs the role {needed.value}",
            })  # fmt: skip
        else:
            self._obey(command, request, caller, now, camera_problem)

    def _obey(
        self, command: str, request: Request, caller: Caller, now: float, problem: str | None
    ) -> None:
        values = request.values
        if command == "status":
            request.answer({"result": "ok", **self._state()})
        elif command == "live":
            self._show(request, caller, now, problem)
        elif command == "news":
            request.answer_later(lambda: self._news(values, caller))
        elif command == "health":
            request.answer_later(partial_health(self._settings, self._state(), problem))
        elif command in DOOR or command == "silence":
            self._command(command, request, caller)
        elif command == "capture":
            self._hand_out(request, self._watch.face(values.get("visit")))
        elif command in ("strangers", "stranger"):
            self._strangers(command, request, now)
        elif command in ("note", "wiring", "checks", "check"):
            {
                "note": self._take_note,
                "wiring": self._try_wiring,
                "checks": self._tell_checks,
                "check": self._check,
            }[command](request, caller)
        elif command in _WITH_PICTURES:
            request.answer_later(
                lambda: self._pictures.ask(command, values, request.body, caller.by)
            )
        else:
            request.answer_later(lambda: self._in_store(command, values, caller))

    def own_settings(self) -> dict[str, Any]:
        """Return what the console has to know of the configuration; nothing else reaches it."""
        settings = self._settings
        return {
            "result": "ok",
            "door": settings.door.id,
            "name": settings.door.name,
            "console": settings.console.model_dump(mode="json"),
            "groups": {
                name: {"hours": one.hours, "always": one.hours is None}
                for name, one in settings.access.groups.items()
            },
            "keeps_events": settings.store.keep_events_days,
            "keeps_photographs": settings.store.keep_photographs,
            "hold_open_longest_s": settings.door.hold_open_longest_s,
        }

    def _command(self, command: str, request: Request, caller: Caller) -> None:
        seconds = request.values.get("seconds", 0)
        number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not (number and 0 <= seconds <= LONGEST_S):
            request.answer({"result": "malformed", "reason": f"seconds: 0 to {LONGEST_S}"})
            return
        if command == "silence":
            self._silence(float(seconds) or SILENCE_S)
            self._emit(EventType.COMMAND, command=command, by=caller.by, result="ok")
            result = "ok"
        else:
            result = self._door.command(command, float(seconds), caller.by)
        answer = {"result": result, **self._state()}
        self._write_later(request, caller, f"{command}: {result}", answer)

    def _try_wiring(self, request: Request, caller: Caller) -> None:
        """Release once, as `unlock` does and with its bounds, on the word that nothing opens."""
        if request.values.get("strike_disconnected") is not True:
            reason = "disconnect the strike first, and say that you did: strike_disconnected"
            request.answer({"result": "refused", "reason": reason})
            return
        result = self._door.command("unlock", 0.0, caller.by)
        note = f"wiring test, with the strike disconnected: {result}"
        self._write_later(request, caller, note, {"result": result, **self._state()})

    def _take_note(self, request: Request, caller: Caller) -> None:
        said = str(request.values.get("what"))
        if _NOTES.fullmatch(said) is not None:
            self._write_later(request, caller, said, {"result": "ok"})
        else:
            request.answer({"result": "malformed"})

    def _tell_checks(self, request: Request, _: Caller) -> None:
        request.answer_later(lambda: _as_body(self._checks.last()))

    def _check(self, request: Request, caller: Caller) -> None:
        name = str(request.values.get("name"))

        def work() -> Told:
            answer = self._checks.run(name)
            if answer["result"] == "ok":
                self._note(caller, f"check: {name}")
                return _as_body(answer)
            return answer, b""

        request.answer_later(work)

    def _show(self, request: Request, caller: Caller, now: float, problem: str | None) -> None:
        state = self._state()
        if problem is not None:
            request.answer({"result": "no_picture", "reason": problem, "state": state})
            return
        found = self._watch.live(request.values.get("after"), now)
        if found is None:
            request.answer({"result": "no_news", "state": state})
            return
        seen, image = found
        if not caller.role.may_act_as(Role.ADMINISTRATOR):
            seen["faces"] = without_strangers_likeness(seen["faces"])
        accept = self._settings.recognition.accept
        answer = {"result": "ok", "state": state, "accept": accept, **seen}
        wanted = request.values.get("picture", True)
        request.answer_later(lambda: (answer, live_jpeg(image) if wanted else b""))

    def _news(self, values: Any, caller: Caller) -> Told:
        after, wait_s = values.get("after", -1), values.get("wait_s", NEWS_WAIT_S)
        if not isinstance(after, int) or not isinstance(wait_s, int | float):
            return {"result": "malformed", "reason": "after is a number"}, b""
        last, events = self._watch.news(after, min(max(wait_s, 0.0), NEWS_WAIT_S))
        similarity = "always" if caller.role is Role.ADMINISTRATOR else "granted"
        told = [public(one, similarity) for one in events]
        return _as_body({"last": last, "events": told})

    def _strangers(self, command: str, request: Request, now: float) -> None:
        known = self._watch.strangers(now)
        if command == "strangers":
            listed = [{"id": one.id, "utc_s": round(one.utc_s, 1)} for one in known]
            request.answer({"result": "ok", "strangers": listed})
            return
        wanted = request.values.get("id")
        self._hand_out(request, next((one.face for one in known if one.id == wanted), None))

    @staticmethod
    def _hand_out(request: Request, image: Image | None) -> None:
        if image is None:
            request.answer({"result": "not_found", "reason": "that face is no longer there"})
        else:
            request.answer({"result": "ok"}, lambda: face_jpeg(image))

    def _in_store(self, command: str, values: Any, caller: Caller) -> Told:
        """Look something up in the store, or change it; in the socket's thread."""
        try:
            if command == "kept":
                return self._kept(int(values["number"]))
            if command in LOOKS:
                with opened(self._settings.store) as store:
                    return _as_body(looked_up(store, command, values))
            revoking = command in ("remove", "change")
            with opened(self._settings.store, writable=True, revoking=revoking) as store:
                return _as_body(changed(store, command, values, caller.by, self._settings))
        except PersonError as error:
            return {"result": "refused", "reason": str(error)}, b""
        except StoreError as error:
            if command in LOOKS and not self._settings.store.path().exists():
                return _as_body({name: [] for name in _LISTS})
            log.error("console: %s", error)
            return {"result": "store", "reason": str(error)}, b""
        except (TypeError, ValueError, KeyError) as error:
            return {"result": "malformed", "reason": str(error)[:200]}, b""

    def _kept(self, number: int) -> Told:
        """A stranger's picture that the owner keeps."""
        with opened(self._settings.store) as store:
            picture = store.strangers.picture(number)
        if picture is None:
            return {"result": "not_found", "reason": "there is no such picture"}, b""
        return {"result": "ok"}, picture

    def _write_later(
        self, request: Request, caller: Caller, note: str, answer: dict[str, Any]
    ) -> None:
        """Answer, once the audit trail has it, or that cannot be."""

        def work() -> Told:
            self._note(caller, note)
            return answer, b""

        request.answer_later(work)

    def _note(self, caller: Caller, note: str) -> None:
        try:
            with opened(self._settings.store, writable=True, make=True) as store:
                store.audit.note_command(caller.by, note)
        except LockdError as error:
            log.error("not in the audit trail: %s, by %s: %s", note, caller.by, error)


def partial_health(
    settings: Settings, state: dict[str, Any], problem: str | None
) -> Callable[[], Told]:
    """Return what makes the answer of how the service does."""

    def work() -> Told:
        recognition = settings.recognition
        return _as_body(
            {
                "state": state,
                "camera_problem": problem,
                "memory_mb": memory_mb(),
                "temperature_c": temperature_c(),
                "profile": recognition.profile,
                "margin": recognition.margin,
                "agree_frames": recognition.agree_frames,
                "window_frames": recognition.window_frames,
                "min_face_px": settings.quality.min_face_px,
            }
        )

    return work


def _as_body(values: dict[str, Any]) -> Told:
    """An answer that may be long: its values follow as JSON."""
    return {"result": "ok", "json": True}, json.dumps(values, ensure_ascii=False).encode()
