"""What a piece of work costs in memory, measured in a process of its own."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

_PEAK = "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss"


def growth_kib(prepare: str, work: str, file: Path, *, address_space: int | None = None) -> int:
    """Return by how many KiB the process's peak grew during `work`.

    Args:
        prepare: Python whose memory is not counted.
        work: Python whose memory is; `file` is a `Path` in both.
        file: what they read.
        address_space: bytes, the most that the process may map.
    """
    program = (
        "import pathlib, resource, sys\n"
        "file = pathlib.Path(sys.argv[1])\n"
        f"{prepare}\nbefore = {_PEAK}\n{work}\nprint({_PEAK} - before)\n"
    )

    def limit() -> None:
        if address_space is not None:
            resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))

    done = subprocess.run(
        [sys.executable, "-c", program, file],
        cwd=ROOT,
        capture_output=True,
        check=True,
        preexec_fn=limit,
    )
    return int(done.stdout)
