"""`lockd-enroll add NAME --camera`: frames taken, shown, confirmed."""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from collections.abc import Callable
from contextlib import closing

import click
from rich.markup import escape

from enroll.capture import Capture, Taken
from enroll.capture_frames import open_frames
from enroll.capture_options import Wishes
from enroll.capture_pictures import save_sheet
from enroll.capture_screen import screen, show_faces, summary
from enroll.people import Candidate, Enroller, EnrolmentOutcome, Terms
from enroll.poses import LEAST_FRONTAL, Pose
from lockd.clock import RealClock
from lockd.config import Settings
from lockd.console import err
from lockd.errors import ImageError
from lockd.recognition.recogniser import Vision
from lockd.vision.pictures import encode_jpeg, jpeg_within

_PICTURE_BYTES = 8000  # for whoever confirms from afar


def add_at_camera(
    name: str, settings: Settings, enroller: Enroller, wishes: Wishes, terms: Terms
) -> EnrolmentOutcome:
    """Enrol somebody who stands in front of a camera.

    Whoever cannot be enrolled, for being too like somebody else or unlike themselves, is
    told so at the first frame.

    Args:
        settings: of the camera and of recognition.
        wishes: how the frames are taken.
        terms: how they are enrolled.

    Raises:
        LockdError: as from `captured`, and if the store cannot be written.
    """
    kept = settings.store.keep_photographs

    def candidate(number: int, one: Taken) -> Candidate:
        picture = encode_jpeg(one.image) if kept else None
        return Candidate(f"frame {number} ({one.pose})", one.template, picture)

    def check(one: Taken) -> None:
        verdict = enroller.verdicts(name, [candidate(1, one)], anyway=terms.anyway is not None)[0]
        if not (verdict.accepted or verdict.repeated):
            raise ImageError(verdict.message, verdict.reason or "unreadable")

    taken = captured(name, settings, enroller.vision, wishes, check)
    candidates = [candidate(number, one) for number, one in enumerate(taken, start=1)]
    return enroller.enrol(EnrolmentOutcome(name), candidates, terms)


def captured(
    name: str,
    settings: Settings,
    vision: Vision,
    wishes: Wishes,
    check: Callable[[Taken], None],
) -> list[Taken]:
    """Take frames of somebody, and have them confirmed.

    Args:
        settings: of the camera and of recognition.
        check: called with the first frame of them; may raise what ends it.

    Raises:
        ImageError: if too little could be taken.
        LockdError: if there is no picture to be had.
        click.Abort: if the answer is no.
        click.UsageError: if nobody can be asked.
    """
    if not (wishes.yes or at_terminal()):
        raise click.UsageError("there is no terminal to ask for confirmation; add --yes")
    clock = RealClock()
    with closing(open_frames(settings, wishes.source, clock)) as frames:
        capture = Capture(settings, vision, frames, clock, check)
        with screen(
            err,
            name,
            plain=wishes.plain,
            preview=wishes.preview,
            for_programs=wishes.json_progress,
        ) as tell:
            began = clock.now()
            missing = capture.run(wishes.timeout_s, tell)
        lasted_s, ended = clock.now() - began, frames.ended
    taken = capture.taken
    if taken and wishes.save_preview is not None:
        save_sheet([one.picture for one in taken], wishes.save_preview)
        err.print(f"The frames taken are in {escape(str(wishes.save_preview))}.")
    if missing:
        _check_enough(name, taken, missing, wishes, lasted_s, ended=ended)
    err.print(summary(taken))
    if wishes.json_progress and taken:
        picture = jpeg_within(taken[0].picture, _PICTURE_BYTES)
        click.echo(json.dumps({"picture": b64encode(picture).decode()}))
    if not wishes.yes:
        show_faces(err, taken)
        click.confirm(f"Enrol {name} with these {len(taken)} frames?", abort=True, err=True)
    return taken


def at_terminal() -> bool:
    """Return whether somebody can be asked."""
    return sys.stdin.isatty()


def _check_enough(
    name: str,
    taken: list[Taken],
    missing: list[Pose],
    wishes: Wishes,
    lasted_s: float,
    *,
    ended: bool,
) -> None:
    """Complain, unless a part was asked for and is enough.

    Args:
        lasted_s: how long it took.
        ended: whether it was over because a recording was.
    """
    frontal = sum(one.pose is Pose.FRONTAL for one in taken)
    if wishes.accept_partial and frontal >= LEAST_FRONTAL:
        return
    lacking = ", ".join(dict.fromkeys(pose.value for pose in missing))
    if frontal >= LEAST_FRONTAL:
        longer = "recording" if ended else "--timeout"
        way_out = f"try again, with a longer {longer}, or with --accept-partial"
    else:
        way_out = "try again, and do as the hints say"
    over = ", when the recording was over" if ended else ""
    raise ImageError(
        f"{name}: not enrolled: {len(taken)} of {len(taken) + len(missing)} frames were taken "
        f"in {lasted_s:.0f} s{over}, missing: {lacking}; {way_out}"
    )
