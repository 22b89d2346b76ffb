"""One check in a process of its own: a question on standard input, JSON on standard output."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from lockd.commands.doctor.examine import findings_of
from lockd.commands.doctor.findings import Machine
from lockd.commands.doctor.table import CHECKS


def main() -> None:
    """Answer, and leave without waiting for whatever thread a driver has left behind."""
    asked = json.load(sys.stdin)
    machine = Machine(
        Path(asked["config_file"]) if asked["config_file"] else None,
        Path(asked["save_frame"]) if asked["save_frame"] else None,
        Path(asked["root"]),
    )
    (check,) = (check for check in CHECKS if check.name == asked["check"])
    print(json.dumps([finding.as_dict() for finding in findings_of(check, machine)]), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
