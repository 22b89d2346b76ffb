"""The journal's own protocol, against a socket that listens as journald does."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockd.adapters.journal import JournalHandler

EVENT = {"schema": 1, "type": "access_granted", "person": "Ada Lovelace", "similarity": 0.7149}


class Kept(logging.Handler):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record.getMessage())


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "journal"))
        server.settimeout(5)
        yield server


@pytest.fixture
def log(tmp_path: Path) -> Iterator[tuple[logging.Logger, Kept]]:
    otherwise = Kept()
    handler = JournalHandler(otherwise, tmp_path / "journal")
    logger = logging.Logger("lockd.publishing.outbox")
    logger.addHandler(handler)
    yield logger, otherwise
    handler.close()


def fields(entry: bytes) -> dict[str, str]:
    """An entry as `journalctl -o json` shows it."""
    found = {}
    while entry:
        line, _, rest = entry.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            length = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + length], rest[9 + length :]
        found[name.decode()] = value.decode()
        entry = rest
    return found


def test_an_event_is_a_readable_line_with_its_fields(
    journal: socket.socket, log: tuple[logging.Logger, Kept]
) -> None:
    log[0].info("let in: Ada Lovelace, 0.71", extra={"event": EVENT})
    entry = fields(journal.recv(65536))
    assert entry.pop("THREAD_NAME")
    assert entry == {
        "MESSAGE": "let in: Ada Lovelace, 0.71",
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "lockd",
        "LOGGER": "lockd.publishing.outbox",
        "LOCKD_SCHEMA": "1",
        "LOCKD_TYPE": "access_granted",
        "LOCKD_PERSON": "Ada Lovelace",
        "LOCKD_SIMILARITY": "0.7149",
    }


def test_no_text_can_forge_a_field(
    journal: socket.socket, log: tuple[logging.Logger, Kept]
) -> None:
    log[0].error("one\nPRIORITY=7\nLOCKD_PERSON=Eve")
    entry = fields(journal.recv(65536))
    assert entry["MESSAGE"] == "lockd.publishing.outbox: one\nPRIORITY=7\nLOCKD_PERSON=Eve"
    assert entry["PRIORITY"] == "3"
    assert "LOCKD_PERSON" not in entry


def test_what_the_journal_does_not_take_goes_to_standard_error(
    log: tuple[logging.Logger, Kept], journal: socket.socket
) -> None:
    logger, otherwise = log
    logger.info("x" * 300_000)
    assert len(otherwise.kept) == 1
    journal.close()
    logger.info("nobody listens")
    assert otherwise.kept[1] == "nobody listens"


PROGRAM = """
import logging, os, sys
from lockd.console import log_to_stderr
status = os.fstat(2)
if sys.argv[1] == "journal":
    os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
log_to_stderr("info")
print(type(logging.getLogger().handlers[0]).__name__)
logging.getLogger("lockd.service").warning("one\\ntwo")
logging.getLogger("lockd.service").info("let in: Ada", extra={"event": {"type": "x"}})
"""


@pytest.mark.parametrize(
    ("stream", "handler"), [("journal", "JournalHandler"), ("pipe", "StreamHandler")]
)
def test_the_journal_is_written_to_only_where_it_reads_standard_error(
    stream: str, handler: str
) -> None:
    environment = {**os.environ, "JOURNAL_STREAM": "1:2"}
    command = [sys.executable, "-c", PROGRAM, stream]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == handler
    if handler == "StreamHandler" or not Path("/run/systemd/journal/socket").exists():
        assert done.stderr.splitlines() == ["<4>lockd.service: one", "<4>two", "<6>let in: Ada"]
