"""The camera: does it give pictures, at what rate, and would a face be seen in them?

It is not taken from a running service, and no picture is kept unless the owner asks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lockd.adapters.cameras import Source, open_source
from lockd.commands.doctor.findings import Finding, Machine, ok, problem, skipped, warning
from lockd.config import CameraSettings
from lockd.errors import CameraError, LockdError
from lockd.files import write_over
from lockd.types import Image
from lockd.vision.pictures import View

_WATCH_S = 2.0  # long enough for a camera to set its exposure
_LEAST_SPREAD = 6.0  # of the brightness, 0..128; a covered lens is under it
_LEAST_SHARPNESS = 0.08  # of a whole picture, in the measure of `lockd.vision.quality`


@dataclass(frozen=True, eq=False)
class Watched:
    """What the camera gave: the last two pictures, how many, and over how long."""

    last: Image
    before: Image | None
    count: int
    seconds: float


def camera(machine: Machine) -> list[Finding]:
    """Look through each camera for two seconds."""
    settings = machine.settings.camera
    findings = [*_unverified("camera", settings), *_look(machine, "camera", settings)]
    if settings.infrared is not None:
        name = "camera.infrared"
        findings += [
            *_unverified(name, settings.infrared),
            *_look(machine, name, settings.infrared),
        ]
    return findings


def _unverified(name: str, settings: CameraSettings) -> Iterator[Finding]:
    if settings.unverified:
        yield warning(
            f"{name}.tls is unverified: whoever is on the wire can show the door any face",
            f"name the authority of its certificate in {name}.ca_file, and remove tls",
        )


def _look(machine: Machine, name: str, settings: CameraSettings) -> list[Finding]:
    said = "" if name == "camera" else f"{name}: "
    if machine.service_runs:
        status = machine.unit.get("StatusText") or "no status"
        return [
            skipped(
                f"{said}the running service has it ({status}); "
                "to look through it: `sudo systemctl stop lockd`, and then again"
            )
        ]
    started = time.monotonic()
    try:
        source = open_source(settings)
    except CameraError as error:
        return [problem(f"{said}{error}", _holders(machine, settings.source))]
    try:
        opened_s = time.monotonic() - started
        seen = _watch(source, settings.view())
    except CameraError as error:
        return [problem(f"{said}{error}", _holders(machine, settings.source))]
    finally:
        source.close()
    height, width = seen.last.shape[:2]
    rate = f", {(seen.count - 1) / seen.seconds:.1f} pictures a second" if seen.seconds > 1 else ""
    whole = f"{said}{width} x {height}{rate}, opened in {opened_s:.1f} s"
    findings = [ok(whole), *_judge(seen, source), _faces(machine, seen.last)]
    if machine.save_frame is not None and name == "camera":
        findings.append(_save(seen.last, machine.save_frame))
    return findings


def _watch(source: Source, view: View) -> Watched:
    """Read for `_WATCH_S` after the first picture, which may be long in coming."""
    first = last = 0.0
    image, before, count = None, None, 0
    while count < 2 or last - first < _WATCH_S:
        picture = source.read()
        if picture is None:
            break
        last = time.monotonic()
        count += 1
        first = first or last
        before, image = image, view.of(picture[0])
    if image is None:
        raise CameraError("camera.source: ended without a picture")
    return Watched(image, before, count, last - first)


def _judge(seen: Watched, source: Source) -> list[Finding]:
    """Say what is wrong with the pictures themselves."""
    grey = cv2.cvtColor(seen.last, cv2.COLOR_BGR2GRAY)
    luma, spread = float(grey.mean()), float(grey.std())
    sharpness = float(cv2.Laplacian(grey, cv2.CV_32F).std()) / max(spread, 1.0)
    text = f"brightness {luma:.0f} of 255, sharpness {sharpness:.2f}"
    findings = []
    if spread < _LEAST_SPREAD:
        findings.append(problem(f"{text}: a plain surface", "is the lens covered, or is it night?"))
    elif luma < 40 or luma > 225:
        what = "dark" if luma < 40 else "bright"
        findings.append(warning(f"{text}: too {what} for faces", "light the faces, not the lens"))
    elif sharpness < _LEAST_SHARPNESS:
        findings.append(warning(f"{text}: blurred", "wipe the lens, and focus it"))
    else:
        findings.append(ok(text))
    frozen = seen.before is not None and np.array_equal(seen.before, seen.last)
    if frozen and not source.recorded:
        findings.append(
            problem("the same picture twice, to the last bit", "frozen: unplug and plug it")
        )
    return findings


def _faces(machine: Machine, image: Image) -> Finding:
    """Look for faces; nobody is named, for this is no door."""
    from lockd.recognition.recogniser import Vision  # noqa: PLC0415  # needs the runtime

    try:
        faces = Vision(machine.settings).detector.detect(image)
    except LockdError as error:
        return skipped(f"faces: {error}")
    if not faces:
        return ok("no face just now; stand at the door and look again")
    sizes = ", ".join(f"{max(one.box.width, one.box.height):.0f} px" for one in faces)
    least = machine.settings.quality.min_face_px
    return ok(f"{len(faces)} face{'s' if len(faces) > 1 else ''}: {sizes} ({least} px are wanted)")


def _save(image: Image, path: Path) -> Finding:
    """Write the picture, for its owner's eyes only."""
    suffix = path.suffix if path.suffix.lower() in (".jpg", ".jpeg", ".png") else ".jpg"
    _, encoded = cv2.imencode(suffix, image)
    try:
        write_over(path, encoded.tobytes())
    except OSError as error:
        return problem(f"{path}: {error.strerror}", "name another file with --save-frame")
    return ok(f"the picture was saved as {path}")


def _holders(machine: Machine, source: str | int) -> str:
    """Say who has a camera device open; root sees everybody's programs."""
    text = str(source)
    device = f"/dev/video{text}" if text.isdecimal() else text
    if not device.startswith("/dev/"):
        return ""
    holders = []
    for link in machine.path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) == device:
                holders.append(link.parts[-3])
        except OSError:
            continue
    names = sorted({f"{machine.text(f'/proc/{pid}/comm')} ({pid})" for pid in holders})
    if names:
        return f"{', '.join(names)} has {device} open; stop it"
    return ""
