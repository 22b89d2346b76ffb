"""What can go wrong, each with the exit code its command ends with, and what may be printed of it.

Every error also derives from the builtin a caller would expect, so that
``except ValueError`` keeps working for code that knows nothing of lockd.
A message names the thing, the value and the way out. Nothing outside Python's own library
is imported here, for `tools/install.sh` runs before anything else is installed.
"""

from __future__ import annotations

import re
from enum import StrEnum


class CameraTrouble(StrEnum):
    """What is wrong with a camera: stable words, for programs as well as people."""

    MISSING = "missing"
    """Not there, not reachable, or a program that it needs is not installed."""
    BUSY = "busy"
    """Another program has it."""
    DENIED = "denied"
    """This user may not open it."""
    FAILING = "failing"
    """It was there, and broke."""
    SILENT = "silent"
    """No picture came in the time that one may take."""
    FROZEN = "frozen"
    """Its pictures repeat those before, down to the sensor's noise."""
    GARBLED = "garbled"
    """What it sends is no picture."""
    DARK = "dark"
    """Its pictures show almost no light."""
    COVERED = "covered"
    """Its pictures show almost no structure, as with something in front of the lens."""
    DELAYED = "delayed"
    """Its pictures come late."""
    SIZE_CHANGED = "size_changed"
    """Its pictures changed their size; it is opened again at the new one."""


class LockdError(Exception):
    """Anything lockd reports to a person instead of with a traceback."""

    exit_code = 1


class ConfigError(LockdError, ValueError):
    """The configuration has mistakes; the message lists every one with its path."""

    exit_code = 3


class ModelError(LockdError, RuntimeError):
    """A model file or the manifest is missing, altered or unusable."""

    exit_code = 4


class StoreError(LockdError, OSError):
    """The store cannot be read or written."""

    exit_code = 5


class CameraError(LockdError, OSError):
    """A camera, video or folder cannot be opened or read.

    Attributes:
        trouble: the kind of it, in one stable word.
    """

    exit_code = 6

    def __init__(self, message: str, trouble: CameraTrouble = CameraTrouble.FAILING) -> None:
        super().__init__(message)
        self.trouble = trouble


class PinError(LockdError, RuntimeError):
    """The relay's pin cannot be driven as configured."""

    exit_code = 7


class ImageError(LockdError, ValueError):
    """A photograph cannot be read, or shows no usable face.

    Attributes:
        reason: in one stable word: unreadable, no_face, several_faces, no_answer, or one
            of `lockd.types.Unfit`.
    """

    exit_code = 8

    def __init__(self, message: str, reason: str = "unreadable") -> None:
        super().__init__(message)
        self.reason = reason


class PersonError(LockdError, ValueError):
    """A person's name cannot be used, or nobody of that name is enrolled."""

    exit_code = 9


class FactorError(PersonError):
    """A PIN or a card cannot be used; the message has neither of them in it."""

    exit_code = 14


class BusError(LockdError, OSError):
    """The MQTT settings cannot work, whatever the network does."""

    exit_code = 10


class InstallError(LockdError, OSError):
    """The system cannot be changed as an installation needs it."""

    exit_code = 11


class ControlError(LockdError, OSError):
    """The running service cannot be asked, or cannot be made to listen."""

    exit_code = 12


class TransferError(LockdError, ValueError):
    """A file of exported people, or a backup, cannot be written, read or trusted."""

    exit_code = 13


# What may be printed of a text that holds a password. Owners write a camera's password into its
# URL, and cameras take it wherever their maker liked: before an `@`, in the query, in the fragment,
# even in the path. What is left of a URL is its scheme, its host and as much of its path as can
# hold none.

_BEGIN = re.compile(r"([a-z][a-z0-9+.-]*:/+)?(.*)", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]*)(:[0-6]?[0-9]{0,4})?", re.IGNORECASE)
_WITHIN = re.compile(
    r"[a-z][a-z0-9+.-]{0,30}:/(?:/|\S*[@?#])\S*[^\s:;,.)\]}>'\"]", re.IGNORECASE
)  # with one slash where a URL was taken for a path; bounded, or a long word would take for ever


def redacted(source: str) -> str:
    """Return a camera's source, or another text that may be a URL, fit for a log.

    User information ends at the last `@`. Where that may be part of what comes behind it,
    nothing but the scheme is left.
    """
    found = _BEGIN.fullmatch(source.strip())
    scheme, rest = (found[1] or "", found[2]) if found else ("", source)
    login, at, place = rest.rpartition("@")
    if not (scheme or "?" in rest or "=" in rest or (at and ":" in login)):
        return source  # a file, a device or a plain word
    if any(char in login for char in "/?#"):
        return f"{scheme}..."
    host, slash, path = place.partition("/")
    host, cut, _ = _parted(host, "?#")
    if cut:
        slash = path = ""
    if scheme and not _HOST.fullmatch(host):
        host = "..."  # `rtsp://user:password`, and then no host
    path, more, _ = _parted(path, "?#=&;:%")
    end = f"{cut or more}..." if cut or more else ""
    return f"{scheme}{'...@' if at else ''}{host}{slash}{path}{end}"


def scrubbed(text: str) -> str:
    """Return a message with every URL in it redacted."""
    return _WITHIN.sub(lambda found: redacted(found[0]), text)


def _parted(text: str, chars: str) -> tuple[str, str, str]:
    """Part a text at the first of some characters."""
    found = re.search(f"[{chars}]", text)
    return text.partition(found[0]) if found else (text, "", "")
