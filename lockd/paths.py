"""Where the files that come with lockd are, and where a user's state belongs."""

from __future__ import annotations

import sys
from pathlib import Path

import platformdirs

from lockd.errors import LockdError

ON_BEHALF_OF = "LOCKD_ON_BEHALF_OF"
"""The environment's variable that says for whom a service runs a command."""

_SOURCE_TREE = Path(__file__).resolve().parent.parent
_INSTALLED = Path(sys.prefix) / "share" / "lockd"


def shipped(relative: str) -> Path:
    """Return a file or folder that comes with lockd, such as ``models``.

    Raises:
        LockdError: if it is neither in the source tree nor installed.
    """
    for root in (_SOURCE_TREE, _INSTALLED):
        if (root / relative).exists():
            return root / relative
    raise LockdError(
        f"{relative}: not found under {_SOURCE_TREE} or {_INSTALLED}; "
        "install lockd again, or run it from its source tree"
    )


def user_state_dir() -> Path:
    """Return the state directory of a user's own lockd, after the XDG rules."""
    return platformdirs.user_data_path("lockd")
