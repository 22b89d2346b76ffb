#!/usr/bin/env python3
"""Keep a visitors' book: every event of a door in a CSV file, once each, gaps marked.

    python3 visitors_book.py --book visitors.csv --host broker.lan --ca ca.crt \
        --port 8883 --user visitors-book --password-file password

Needs paho-mqtt 2 (`pip install paho-mqtt`, or `apt install python3-paho-mqtt` from Debian 13 on).

The broker keeps what happens while this program is away, for the session bears its name. An event
is acknowledged when its line is in the file; killed before that, the program gets it again, and
knows it by its `id`. A hole in the numbers of a series becomes a line of its own. Times are UTC.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

COLUMNS = ("utc", "door", "type", "person", "reason", "delayed", "id", "series", "seq")


class Book:
    """The file, and what of it must be known to go on."""

    def __init__(self, path: Path) -> None:
        self._ids: set[str] = set()
        self._last: dict[tuple[str, str], int] = {}
        there = path.exists() and path.stat().st_size > 0
        if there:
            _drop_torn_line(path)
            with path.open(encoding="utf-8", newline="") as file:
                for row in csv.DictReader(file):
                    self._remember(row)
        self._file = path.open("a", encoding="utf-8", newline="")
        self._writer = csv.DictWriter(self._file, COLUMNS, extrasaction="ignore", restval="")
        if not there:
            self._write(dict(zip(COLUMNS, COLUMNS, strict=True)))

    def add(self, event: dict[str, Any]) -> None:
        """Write an event that is not in the book yet."""
        row = {name: _cell(event.get(name)) for name in COLUMNS}
        if row["id"] in self._ids:
            return
        before = self._last.get((row["door"], row["series"]))
        if before is not None and int(row["seq"]) > before + 1:
            missing = int(row["seq"]) - before - 1
            reason = f"{missing} missing before this"
            self._write({"utc": row["utc"], "door": row["door"], "type": "gap", "reason": reason})
        self._write(row)
        self._remember(row)

    def _remember(self, row: dict[str, str]) -> None:
        if row["id"]:
            self._ids.add(row["id"])
        if row["seq"]:
            key = (row["door"], row["series"])
            self._last[key] = max(self._last.get(key, 0), int(row["seq"]))

    def _write(self, row: dict[str, str]) -> None:
        self._writer.writerow(row)
        self._file.flush()
        os.fsync(self._file.fileno())


def _drop_torn_line(path: Path) -> None:
    """Cut off half a line that a power cut left; its event was not acknowledged."""
    data = path.read_bytes()
    if not data.endswith(b"\n"):
        os.truncate(path, data.rfind(b"\n") + 1)


def _cell(value: object) -> str:
    """Return a value as text that no spreadsheet takes for a formula."""
    plain = "" if value is None else str(value)
    text = "".join(char if char.isprintable() else " " for char in plain)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def main() -> None:
    """Write until interrupted."""
    parser = argparse.ArgumentParser(description="Keep a visitors' book.")
    parser.add_argument("--book", type=Path, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--user")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--ca", help="encrypt, and trust this authority")
    parser.add_argument("--base", default="lockd")
    parser.add_argument("--name", default="visitors-book", help="of the session; one program each")
    options = parser.parse_args()
    book = Book(options.book)
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=options.name, clean_session=False)
    if options.user:
        lines = options.password_file.read_text().splitlines() if options.password_file else [None]
        client.username_pw_set(options.user, lines[0])
    if options.ca:
        client.tls_set(options.ca)

    def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            raise SystemExit(f"{options.host} refuses us: {reason}")
        client.subscribe(f"{options.base}/+/events", qos=1)
        print(f"writing {options.book}", flush=True)

    def on_message(_client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            event = json.loads(message.payload)
            good = type(event["seq"]) is int and event["seq"] >= 0 and isinstance(event["id"], str)
        except (ValueError, KeyError, TypeError, RecursionError):
            return  # nothing a door would say
        if good:
            book.add(event)

    client.on_connect = on_connect
    client.on_message = on_message
    client.connect(options.host, options.port)
    client.loop_forever()


if __name__ == "__main__":
    main()
