"""Run a command beside processes that keep every core busy, several times in a row.

    python tools/busy.py --rounds 3 -- .venv/bin/pytest -q

All rounds are run, whatever they come to; the exit code is 0 only if each was a success.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# A burner looks for its parent: it outlives it by a moment at most, even if that was killed.
BURNER = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is its parent's affair
while os.getppid() == int(sys.argv[1]):
    sum(range(1_000_000))
"""


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep so many cores busy, as far as there are so many."""
    command = [sys.executable, "-S", "-c", BURNER, str(os.getpid())]
    burners = [subprocess.Popen(command) for _ in range(processes)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def run(command: list[str]) -> int:
    """Run the command to its end; if we are ended before, so is it."""
    with subprocess.Popen(command) as child:
        try:
            return child.wait()
        except SystemExit as end:
            if end.code != 128 + signal.SIGINT:  # Ctrl-C has reached the command, too
                child.terminate()
            raise


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="how many times (%(default)s)")
    parser.add_argument("--burners", type=int, default=4, help="processes beside it (%(default)s)")
    parser.add_argument("command", nargs="+", help="what is run, after --")
    wanted = parser.parse_args()
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, lambda number, _: sys.exit(128 + number))
    codes = []
    with busy(wanted.burners):
        for number in range(1, wanted.rounds + 1):
            print(f"* round {number} of {wanted.rounds}", flush=True)
            codes.append(run(wanted.command))
    print(f"* exit codes of the rounds: {' '.join(map(str, codes))}")
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
