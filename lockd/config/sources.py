"""Kinds of `camera.source`: a device, a ribbon cable, a stream, or a file or folder. Pure.

What is no such thing is refused, and never taken for a file: then its password would be part
of a file's name.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from lockd.errors import redacted

CSI_KINDS = ("csi", "picamera2")
"""Sources of a camera on the ribbon cable; ":1" behind them means the second."""
STREAM_SCHEMES = ("rtsp://", "rtsps://", "http://", "https://")
ENCRYPTED = ("rtsps://", "https://")

_OTHER = re.compile(r"([a-z][a-z0-9+.-]*):/", re.IGNORECASE)
_FORGOTTEN = re.compile(r"(?:rtsps?|https?):|//|(?:\d{1,3}\.){3}\d{1,3}(?:[:/]|$)", re.IGNORECASE)
_CERTAIN = re.compile(r"(?:(?:\d{1,3}\.){3}\d{1,3}|\[[0-9a-f:.]+\]|localhost)(?::\d*)?", re.I)
_HOST_PORT = re.compile(r"(\[[0-9a-f:.%]+\]|[^\s:\[\]\\<>\"]+)(?::(\d*))?", re.IGNORECASE)
_UNSPOKEN = re.compile(r"%(?![0-9a-f]{2})", re.IGNORECASE)
_DEVICE = re.compile(r"[0-9]|[1-5][0-9]|6[0-3]")
_NUMBER = re.compile(r"[-+]?[0-9][0-9_.,]*|0[xob][0-9a-f_]+", re.IGNORECASE)
_TRUTH = frozenset({"", "true", "false", "yes", "no", "on", "off", "null", "none"})
_ENCODED = "@ as %40, : as %3A, / as %2F, ? as %3F, # as %23 and % as %25"


def read_source(text: str) -> str:
    """Return a source as it is used: without spaces around it, a URL fit for FFmpeg.

    Raises:
        ValueError: if it is of no kind, without any password in the message.
    """
    text = text.strip()
    if any(not char.isprintable() for char in text):
        raise ValueError("has a line break or another character that cannot be seen; remove it")
    if text.lower() in _TRUTH:
        raise ValueError(f"{text!r} is no camera; use 0 for /dev/video0, csi, an rtsp:// URL...")
    if _NUMBER.fullmatch(text) and not _DEVICE.fullmatch(text):
        raise ValueError(f"{text} is no number of a device; write 0 to 63 in plain digits")
    if text.lower().partition(":")[0] in CSI_KINDS:
        return text.lower()
    scheme = next((one for one in STREAM_SCHEMES if text.lower().startswith(one)), None)
    if scheme is not None:
        return scheme + _stream(text[len(scheme) :])
    _refuse_other(text)
    return text


def is_path(source: str | int) -> bool:
    """Return whether a camera source names a file or folder, not a device or stream."""
    return (
        isinstance(source, str)
        and not source.isdecimal()
        and not source.startswith((*STREAM_SCHEMES, "/dev/"))
        and source.partition(":")[0] not in CSI_KINDS
    )


def _refuse_other(text: str) -> None:
    """Refuse what looks like a URL, and is none that can be opened."""
    other = _OTHER.match(text)
    schemes = ", ".join(STREAM_SCHEMES)
    if other is not None and f"{other[1].lower()}://" in STREAM_SCHEMES:
        raise ValueError(f"{redacted(text)}: write {other[1].lower()}:// with two slashes")
    if other is not None and other[1].lower() == "file":
        raise ValueError(f"{redacted(text)}: write a file's path alone, without file:")
    if other is not None:
        raise ValueError(
            f"{redacted(text)}: {other[1]}: is nothing that lockd can open; use one of {schemes}, "
            "a device, csi, a video file or a folder of pictures"
        )
    login, at, _ = text.rpartition("@")
    local = text.startswith(("./", "../", "~")) or (text[:1] == "/" and text[:2] != "//")
    if not local and ((at and ":" in login) or _FORGOTTEN.match(text)):
        raise ValueError(f"looks like a camera's address; write one of {schemes} in front of it")


def _stream(rest: str) -> str:
    """Return what follows a scheme, with the password encoded.

    Raises:
        ValueError: if it is not certain where the password ends.
    """
    login, place = _login(rest)
    if login is not None and " " in place.partition("/")[0]:
        raise ValueError("has a space in the camera's address; remove it")
    host = re.split("[/?#]", place, maxsplit=1)[0]
    found = _HOST_PORT.fullmatch(host)
    if found is None or int(found[2] or 1) not in range(1, 65536):
        raise ValueError(
            "names no host, or a port that is none; write user:password@ if the camera asks for "
            f"them, then host, :port and /path, and in user and password {_ENCODED}"
        )
    place = place.replace(" ", "%20")
    if login is None:
        return place
    user, colon, password = login.partition(":")
    return f"{_encoded(user)}{colon}{_encoded(password)}@{place}"


def _login(rest: str) -> tuple[str | None, str]:
    """Part user and password, which may hold `@`, `/`, `?` and `#`, from host and path."""
    login, at, place = rest.rpartition("@")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    early, within, host = authority.rpartition("@")
    if not at or login == early:
        return (login if at else None), place
    if _CERTAIN.fullmatch(host) or (not within and ":" not in authority):
        # The @ further on is part of the path or the query.
        return (early if within else None), rest[len(early) + len(within) :]
    port = authority.partition(":")[2]
    if "#" in login or (not within and not port.isdecimal()):
        return login, place
    raise ValueError(
        "it is not certain where the password ends and the camera's address begins; write in user "
        f"and password {_ENCODED}, and an @ behind the address as %40"
    )


def _encoded(part: str) -> str:
    """Encode what would end a user name or password; what is encoded already stays."""
    return quote(_UNSPOKEN.sub("%25", part), safe="%!$&'()*+,;=-._~")
