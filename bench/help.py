"""How long the list of commands takes, beside what imports click and does nothing else.

    python -m bench.help [TURNS]

The turns alternate, and it is processor time that is compared: so the ratio holds on a
machine that does other things too.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent
COMMANDS = {
    "import click": [sys.executable, "-c", "import click"],
    "lockd --help": [BIN / "lockd", "--help"],
    "lockd-enroll --help": [BIN / "lockd-enroll", "--help"],
}


def spent() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(turns):
        for name, command in COMMANDS.items():
            before = spent()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            taken[name].append(spent() - before)
    least = statistics.median(taken["import click"])
    for name, times in taken.items():
        median = statistics.median(times)
        print(f"{name:20} {1000 * median:5.0f} ms, {median / least:.2f} times as long")


if __name__ == "__main__":
    main()
