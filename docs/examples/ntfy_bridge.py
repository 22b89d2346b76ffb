#!/usr/bin/env python3
"""Let a phone ring by ntfy: alerts of a door become notifications, a stranger's with the picture.

    python3 ntfy_bridge.py --ntfy https://ntfy.sh/SOMETHING-NOBODY-GUESSES --host broker.lan \
        --port 8883 --ca ca.crt --user ntfy --password-file password

Needs paho-mqtt 2. A topic of the public ntfy.sh is as secret as its name, and the picture of
whoever stood at the door goes to that server: better run your own, and give --token-file.
The picture needs `mqtt.snapshot.of: face` or `frame` at the door.
"""

from __future__ import annotations

import argparse
import json
import queue
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

PICTURE_WAIT_S = 3.0
RETRIES_S = (1.0, 5.0, 30.0)
# Alert -> title, priority 1..5, tag; see https://docs.ntfy.sh/emojis/
SOUNDS = {
    "stranger": ("A stranger at the door", 4, "bust_in_silhouette"),
    "spoof": ("Somebody holds a picture to the camera", 5, "performing_arts"),
    "door_forced": ("The door was forced", 5, "rotating_light"),
    "door_held": ("The door stands open", 4, "door"),
    "tamper": ("Somebody tampers with the lock", 5, "rotating_light"),
    "camera": ("The camera has a problem", 3, "camera"),
    "system": ("The lock has a problem", 3, "wrench"),
}
Heard = tuple[str, str, bytes, float]


def alerts(
    messages: queue.Queue[Heard], now: Any = time.monotonic
) -> Iterator[tuple[dict[str, Any], bytes | None]]:
    """Yield each alert, with the picture that comes at the same time, if one does."""
    pictures: dict[str, tuple[bytes, float]] = {}
    seen: dict[str, None] = {}
    while True:
        door, name, payload, at = messages.get()
        if name == "snapshot":
            pictures[door] = (payload, at)
            continue
        try:
            alert = json.loads(payload)
            known = alert["id"] in seen
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if known:
            continue
        seen[alert["id"]] = None
        if len(seen) > 1000:
            del seen[next(iter(seen))]
        others = []
        while alert.get("alert") == "stranger" and not _fresh(pictures, door, at):
            try:
                other = messages.get(timeout=max(0.0, at + PICTURE_WAIT_S - now()))
            except queue.Empty:
                break
            if other[1] == "snapshot":
                pictures[other[0]] = (other[2], other[3])
            else:
                others.append(other)
        fresh = alert.get("alert") == "stranger" and _fresh(pictures, door, at)
        yield alert, pictures[door][0] if fresh else None
        for one in others:
            messages.put(one)


def _fresh(pictures: dict[str, tuple[bytes, float]], door: str, at: float) -> bool:
    return door in pictures and abs(pictures[door][1] - at) <= PICTURE_WAIT_S


def notify(url: str, token: str | None, alert: dict[str, Any], picture: bytes | None) -> None:
    """Send one notification; ntfy takes everything as parameters, so that any text is safe."""
    title, priority, tag = SOUNDS.get(str(alert.get("alert")), ("The door", 3, "door"))
    text = f"{alert.get('door', 'door')}, {alert.get('utc', '')}"
    if alert.get("reason"):
        text += f": {alert['reason']}"
    if alert.get("suppressed"):
        text += f" (and {alert['suppressed']} more before)"
    if alert.get("delayed"):
        priority, text = 2, f"{text} (heard of only now)"
    said = {"title": title, "message": text, "priority": str(priority), "tags": tag}
    if picture is not None:
        said["filename"] = "stranger.jpg"
    request = urllib.request.Request(  # noqa: S310  # the owner's own address
        f"{url}?{urllib.parse.urlencode(said)}", data=picture or b"", method="PUT"
    )
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    for wait_s in (*RETRIES_S, None):
        try:
            with urllib.request.urlopen(request, timeout=15):  # noqa: S310
                return
        except (urllib.error.URLError, OSError) as error:
            print(f"ntfy: {error}", flush=True)
            if wait_s is not None:
                time.sleep(wait_s)


def main() -> None:
    """Pass on alerts until interrupted."""
    parser = argparse.ArgumentParser(description="Alerts of a door as ntfy notifications.")
    parser.add_argument("--ntfy", required=True, help="address of the topic")
    parser.add_argument("--token-file", type=Path, help="of an ntfy of your own")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--user")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--ca", help="encrypt, and trust this authority")
    parser.add_argument("--base", default="lockd")
    options = parser.parse_args()
    if not options.ntfy.startswith(("https://", "http://")):
        parser.error("--ntfy begins with https://")
    token = options.token_file.read_text().strip() if options.token_file else None
    messages: queue.Queue[Heard] = queue.Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    if options.user:
        lines = options.password_file.read_text().splitlines() if options.password_file else [None]
        client.username_pw_set(options.user, lines[0])
    if options.ca:
        client.tls_set(options.ca)

    def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        topics = [(f"{options.base}/+/{name}", 1) for name in ("alerts/+", "snapshot")]
        print(f"not let in: {reason}" if reason.is_failure else "listening", flush=True)
        client.subscribe(topics)

    def on_message(_client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        if not message.retain:  # a retained picture is an old one
            door, _, name = message.topic.removeprefix(f"{options.base}/").partition("/")
            messages.put((door, name, bytes(message.payload), time.monotonic()))

    client.on_connect = on_connect
    client.on_message = on_message
    client.connect(options.host, options.port)
    client.loop_start()
    for alert, picture in alerts(messages):
        notify(options.ntfy, token, alert, picture)


if __name__ == "__main__":
    main()
