"""For programs that watch: Prometheus' text format, and whether the console is alive."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from lockd.web.interface import ToService, Watched
from lockd.web.link import LinkError
from lockd.web.reception import Viewer

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that the console is alive, and nothing else: nobody is asked who they are."""
    return {"status": "ok"}


@router.get("/metrics")
async def metrics(actor: Viewer, link: ToService, hub: Watched) -> Response:
    """Numbers, for a token with the role viewer."""
    told: list[tuple[str, str, float]] = [
        ("lockd_console_viewers", "Browsers that look or listen.", hub.viewers())
    ]
    try:
        health = await link.ask("health", actor)
        live = await link.ask("live", actor, picture=False)
        told += [("lockd_up", "Whether the service answers.", 1), *_of_service(health, live)]
    except LinkError:
        told.append(("lockd_up", "Whether the service answers.", 0))
    lines = [
        f"# HELP {name} {what}\n# TYPE {name} gauge\n{name} {value:g}" for name, what, value in told
    ]
    return Response("\n".join([*lines, ""]), media_type="text/plain; version=0.0.4; charset=utf-8")


def _of_service(health: dict[str, Any], live: dict[str, Any]) -> list[tuple[str, str, float]]:
    state = health["state"]
    found: list[tuple[str, str, float | None]] = [
        ("lockd_door_unlocked", "Whether the relay is on.", state["lock"] == "UNLOCKED"),
        ("lockd_door_locked_down", "Whether nobody comes in.", state["locked_down"]),
        ("lockd_door_locked_out", "Whether too many were refused.", state["locked_out"]),
        ("lockd_alarm", "Whether there is an alarm.", state["alarm"] != "none"),
        ("lockd_people", "Enrolled and known to the door.", state["people"]),
        ("lockd_camera_problem", "Whether it has one.", health["camera_problem"] is not None),
        ("lockd_memory_mb", "Of the service.", health["memory_mb"]),
        ("lockd_temperature_c", "Of its machine.", health["temperature_c"]),
        ("lockd_frames_per_second", "Judged, over ten seconds.", live.get("fps")),
        ("lockd_faces", "In view.", len(live["faces"]) if "faces" in live else None),
    ]
    return [(name, what, float(value)) for name, what, value in found if value is not None]
