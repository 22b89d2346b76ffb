"""Words of the service's, as people read them; the catalogue has them in other languages."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lockd.door.events import State
from lockd.types import Signal, Unfit

KINDS: Mapping[str, str] = {
    "access_granted": "Came in",
    "access_denied": "Was refused",
    "stranger": "Stranger",
    "unidentified": "Not recognised",
    "spoof_suspected": "Attempt with a picture",
    "challenge_started": "Was asked to turn",
    "factor_refused": "Wrong PIN or card",
    "exit_requested": "Exit button",
    "command": "Command",
    "door_opened": "Door opened",
    "door_closed": "Door closed",
    "door_forced": "Door forced",
    "door_held": "Door left open",
    "locked_out": "Locked out",
    "lock_out_ended": "Lock-out ended",
    "locked_down": "Locked down",
    "lock_down_ended": "Lock-down ended",
    "hold_open_started": "Held open",
    "hold_open_ended": "Holding open ended",
    "tamper": "Housing opened",
    "tamper_ended": "Housing closed",
    "camera_problem": "Camera does not work",
    "camera_recovered": "Camera works again",
    "store_problem": "Store does not work",
    "store_recovered": "Store works again",
    "relay_fault": "Relay does not work",
    "relay_recovered": "Relay works again",
    "service_started": "Service started",
    "service_stopped": "Service stopped",
    "gallery_changed": "People changed",
    "templates_damaged": "Templates are damaged",
    "templates_mended": "Templates are whole again",
    "factor_problem": "Keypad or reader does not work",
    "factor_recovered": "Keypad or reader works again",
    "clock_problem": "Clock is not known to be right",
    "clock_recovered": "Clock is right again",
    "config_reloaded": "Configuration read anew",
    "config_problem": "Configuration has mistakes",
    "events_lost": "Events were lost",
    "liveness_problem": "Liveness cannot be asked for",
    "liveness_recovered": "Liveness can be asked for again",
    "fleet_problem": "Shared people are not in order",
    "fleet_recovered": "Shared people are in order again",
}
"""Kinds of events."""

SHOWN_KINDS = (
    "access_granted", "access_denied", "stranger", "unidentified", "spoof_suspected",
    "exit_requested", "command", "door_forced", "door_held", "tamper", "camera_problem",
)  # fmt: skip
"""Those that can be asked for."""

STATES: Mapping[str, str] = {
    State.LOCKED: "Locked",
    State.UNLOCKING: "Unlocked",
    State.OPEN: "Open",
    State.HELD: "Left open",
    State.FORCED: "Forced open",
    State.HOLD_OPEN: "Held open",
    State.LOCKED_OUT: "Locked out",
    State.LOCKED_DOWN: "Locked down",
    State.FAULT: "Relay fault",
}
"""What the door is doing."""

UNFIT: Mapping[str, str] = {
    Unfit.TOO_SMALL: "Come closer",
    Unfit.TOO_DARK: "More light is needed",
    Unfit.TOO_BRIGHT: "Less light is needed",
    Unfit.BLURRED: "Hold still",
    Unfit.TURNED_AWAY: "Look at the camera",
    Unfit.CUT_OFF: "Show your whole face",
    Unfit.HARDLY_A_FACE: "Uncover your face",
}
"""What to do about a face that is not judged."""

CHALLENGES: Mapping[str, str] = {
    "front": "Look straight ahead",
    "left": "Turn your head to the left",
    "right": "Turn your head to the right",
}

PAGES: Mapping[str, str] = {
    "stranger": "Stranger",
    "looking": "Looking",
    "no_picture": "There is no picture",
    "down": "The service does not answer",
    "sure_unlock": "Unlock the door now?",
    "sure_hold-open": "Hold the door open?",
    "sure_lift": "Lift lock-down and lock-out?",
    "sure_remove": "Forget this person? Templates, rights and details are deleted.",
    "sure_merge": "Make one person of both? This cannot be undone.",
    "sure_wiring": "Is the strike disconnected? The relay is switched as if somebody came in.",
    "looks": "Looking",
    "found_problem": "problem",
    "found_warning": "warning",
    "found_ok": "good",
    "found_skipped": "not looked at",
    "fact_threshold": "Threshold",
    "fact_suggested": "Suggested",
    "fact_templates": "Templates",
    "fact_refused_pairs": "One person's pairs that the suggested one refuses",
    "fact_confusable": "People who would be too alike for it",
    "newer": "There is a newer version",
    "newest": "This is the newest version",
    "unlisted": "update.index says where releases are listed; it is not set.",
    "done": "Done",
    "accepted": "Good",
    "welcome": "Welcome",
    "come": "Please look at the camera",
    "wait": "One moment",
    "not_admitted": "You cannot be let in just now",
    "closed": "Closed",
    "out_of_order": "Out of order",
    "blind": "The camera sees nothing just now",
    "nobody": "Nobody",
    "no_face": "No face found",
    "remove": "Remove",
    "no_camera": "The camera cannot be used",
    "judging": "Looking at the photographs",
    "none_good": "None of the photographs is good enough",
    "by": "by",
    "similarity": "Similarity",
    "kept_none": "Nothing was found",
    "leaf": "Leaf",
    "leaf_open": "open",
    "leaf_closed": "closed",
    "relay": "Relay",
    "relay_on": "on, unlocked",
    "relay_off": "off, locked",
    "alarm": "Alarm",
    "tamper": "Tamper",
    "events": "Events",
    "forgotten": "Somebody who was forgotten",
    "name_them": "This is …",
}
"""What the scripts of the pages say."""


SIGNALS: Mapping[str, str] = {
    Signal.IDLE: PAGES["come"],
    Signal.ALARM: PAGES["come"],
    Signal.LOOKING: PAGES["wait"],
    Signal.GRANTED: PAGES["welcome"],
    Signal.DENIED: PAGES["not_admitted"],
    Signal.FAULT: PAGES["out_of_order"],
    Signal.LOCKED_DOWN: PAGES["closed"],
    Signal.ASK_FRONT: CHALLENGES["front"],
    Signal.ASK_LEFT: CHALLENGES["left"],
    Signal.ASK_RIGHT: CHALLENGES["right"],
    "blind": PAGES["blind"],
}
"""What a display at the door says, in the words of the door's screen."""


def door_words(gettext: Callable[[str], str]) -> dict[str, str]:
    """Return what a display at the door says in a language, by signals and by `Unfit`."""
    return {str(name): gettext(text) for name, text in {**SIGNALS, **UNFIT}.items()}


def words_of(gettext: Callable[[str], str]) -> dict[str, dict[str, str]]:
    """Return all of it in a language, for the scripts."""
    tables = {
        "kinds": KINDS,
        "states": STATES,
        "unfit": UNFIT,
        "challenges": CHALLENGES,
        "say": PAGES,
    }
    return {
        table: {str(name): gettext(text) for name, text in words.items()}
        for table, words in tables.items()
    }
