"""A disk that is slow whenever it is told to be: a worn card."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("slow_disk.c")


@functools.cache
def _library() -> Path | None:
    """The shim, built once; None where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    library = Path(tempfile.mkdtemp(prefix="lockd-disk-")) / "slow_disk.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
    return library


class SlowDisk:
    """What a process with this `environment` waits for whenever something must last."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "slow-disk"
        self.set(0)

    @staticmethod
    def available() -> bool:
        """Whether there can be one here."""
        return _library() is not None

    @property
    def environment(self) -> dict[str, str]:
        """Of the processes that use it; empty where there is no compiler."""
        library = _library()
        if library is None:
            return {}
        return {"LD_PRELOAD": str(library), "SLOW_DISK": str(self._file)}

    def set(self, ms: int) -> None:
        """From now on each `fsync` takes so much longer."""
        self._file.write_text(f"{ms}\n")
