"""What may be printed of a text that holds a password. Pure.

Owners write a camera's password into its URL, and cameras take it wherever their maker liked:
before an `@`, in the query, in the fragment, even in the path. What is left of a URL here is
its scheme, its host and as much of its path as can hold none.
"""

from __future__ import annotations

import re

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
