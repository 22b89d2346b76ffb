"""How long tests wait for what must happen, and no longer than it takes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE_S = 120.0
"""For everything that must happen. It measures nothing: only a test that fails waits so long.

What must not happen is shown by an order, a counter or a clock that the test has in its
hands, never by a time in which nothing came.
"""


def eventually(what: Callable[[], Any], timeout_s: float = PATIENCE_S) -> Any:
    """Return the first true answer of a question asked again and again."""
    end = time.monotonic() + timeout_s
    while not (answer := what()):
        assert time.monotonic() < end, f"did not happen within {timeout_s:g} s: {what}"
        time.sleep(0.01)
    return answer


@contextmanager
def running(*command: Any, **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A child process, which ends and lets go of its pipes with the test, also if that fails."""
    with subprocess.Popen([*map(str, command)], **options) as process:
        try:
            yield process
        finally:
            process.kill()
