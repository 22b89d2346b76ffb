"""Where the files that come with lockd are, and where a user's state belongs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lockd.errors import LockdError

ON_BEHALF_OF = "LOCKD_ON_BEHALF_OF"
"""The environment's variable that says for whom a service runs a command."""

ASKED_BY_SERVICE = "LOCKD_ASKED_BY_SERVICE"
"""The one that tells a command that the service started it, which has the camera and the pins."""

CONFIG_VARIABLE = "LOCKD_CONFIG"
SYSTEM_CONFIG = "/etc/lockd/lockd.yaml"

# The installed service.
USER, GROUPS = "lockd", ("gpio", "video")
UNIT = "lockd.service"
PACKAGE = "/usr/lib/lockd"
PACKAGED = sys.prefix == PACKAGE
"""Whether this is Debian's package, whose files are dpkg's."""
ENVIRONMENT = PACKAGE if PACKAGED else "/opt/lockd/.venv"
UNIT_FILE = f"{'/usr/lib' if PACKAGED else '/etc'}/systemd/system/{UNIT}"
DROP_INS = f"/etc/systemd/system/{UNIT}.d"
NETWORK_FILE = f"{DROP_INS}/50-network.conf"
"""Whom the service may speak to, by its configuration."""
# Lets it read USB keypads and card readers, where the configuration names one.
INPUT_DROP_IN = f"{DROP_INS}/lockd-input.conf"
INPUT_GROUP = "input"
# Lets it play on the sound card, where the configuration has a voice.
SOUND_DROP_IN = f"{DROP_INS}/lockd-sound.conf"
# Lets it write to I2C or SPI, where the configuration has a display.
DISPLAY_DROP_IN = f"{DROP_INS}/lockd-display.conf"

# The console, where it is installed.
CONSOLE_USER = "lockd-console"
CONSOLE_UNIT = "lockd-console.service"
CONSOLE_RUNTIME = "/run/lockd-console"
CONSOLE_STATE = "/var/lib/lockd-console"

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
    import platformdirs  # noqa: PLC0415  # not needed where speed counts

    return platformdirs.user_data_path("lockd")


def system_authorities() -> Path:
    """Return the file of the authorities that this machine trusts."""
    import ssl  # noqa: PLC0415  # not needed where speed counts

    return Path(ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt")


def by_systemd(kind: str) -> Path | None:
    """Return the folder that systemd made for this service, if it did.

    Args:
        kind: ``RUNTIME`` or ``STATE``; see systemd.exec(5).
    """
    folder = os.environ.get(f"{kind}_DIRECTORY", "").split(":")[0]
    return Path(folder) if folder else None


def credential(name: str) -> Path | None:
    """Return the file of a credential that systemd hands to this service, if it does."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    file = Path(folder) / name if folder else None
    return file if file is not None and file.exists() else None
