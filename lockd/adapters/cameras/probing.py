"""Why a stream could not be opened: FFmpeg says only that it could not."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import socket
import ssl
import time
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from lockd.adapters.cameras.trust import LOOK_S, PORTS, connect, untrusted
from lockd.config import CameraSettings
from lockd.errors import CameraError, CameraTrouble

_LONGEST_HEAD = 1 << 16
_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))')


@dataclass(frozen=True)
class _Answer:
    """The head of what a server says.

    Attributes:
        status: of HTTP and RTSP; 0 if it speaks neither.
        challenges: the kinds of log-in that it offers, in its words.
    """

    status: int
    challenges: tuple[str, ...]


def why_not(url: str, name: str, settings: CameraSettings) -> CameraError:
    """Ask a server once more what FFmpeg asked, and say what is wrong; takes a few seconds.

    Args:
        url: with user name and password, which are in no message.
        name: for the message.
    """
    limit_s = min(LOOK_S, settings.open_timeout_s)
    try:
        trouble, why = _judged(url, settings, time.monotonic() + limit_s)
    except ssl.SSLCertVerificationError as error:
        return untrusted(name, error)
    except CameraError as error:
        return error
    except OSError as error:
        trouble, why = CameraTrouble.MISSING, _in_words(error, url, limit_s)
    return CameraError(f"camera {name}: cannot be opened: {why}", trouble)


def _judged(url: str, settings: CameraSettings, deadline: float) -> tuple[CameraTrouble, str]:
    """Return what an answer means."""
    login = urlsplit(url).username is not None
    answer = _ask(url, settings, deadline)
    if answer.status == 401 and login:
        answer = _ask(url, settings, deadline, _authorization(url, answer.challenges))
    speech = "RTSP" if url.startswith("rtsp") else "HTTP"
    if answer.status == 401 and not login:
        return CameraTrouble.DENIED, (
            "it asks for a user name and a password, and camera.source has none; write "
            "user:password@ in front of the host"
        )
    if answer.status == 401:
        return CameraTrouble.DENIED, "it refuses the user name or the password in camera.source"
    if answer.status == 403:
        return CameraTrouble.DENIED, "it forbids this (403); may this user see this stream?"
    if answer.status in (404, 410, 454):
        return CameraTrouble.MISSING, (
            f"it has nothing at this path ({answer.status}); its manual names the right one"
        )
    if answer.status == 0:
        return CameraTrouble.GARBLED, f"it answers, but not in {speech}; is the port right?"
    if answer.status < 300:
        return CameraTrouble.GARBLED, "it answers, but sends no video; is the path right?"
    return CameraTrouble.FAILING, f"it answers {answer.status}; is it a camera, and well?"


def _in_words(error: OSError, url: str, limit_s: float) -> str:
    parts = urlsplit(url)
    if isinstance(error, socket.gaierror):
        return (
            f"no host of the name {parts.hostname} is known; is it spelt right, and the network up?"
        )
    if isinstance(error, ConnectionRefusedError):
        port = parts.port or PORTS[parts.scheme]
        return f"nobody listens at port {port}; is the camera on, and the port right?"
    if isinstance(error, TimeoutError):
        return (
            f"no answer within {limit_s:g} s; is the camera on, the address right, and does the "
            "unit let it through (`lockd doctor --only network`)?"
        )
    if isinstance(error, ssl.SSLError):
        return f"it speaks no TLS ({error.reason or 'broken off'}); is the port right?"
    return f"{error.strerror or 'the connection broke off'}; is the network up?"


def _ask(
    url: str, settings: CameraSettings, deadline: float, authorization: str | None = None
) -> _Answer:
    """Send one request, and read the head of the answer.

    Raises:
        OSError: if there is none in time.
    """
    method, target, version = _request(url)
    lines = [f"{method} {target} {version}", "User-Agent: lockd"]
    if method == "DESCRIBE":
        lines += ["CSeq: 1", "Accept: application/sdp"]
    else:
        lines += [f"Host: {urlsplit(url).netloc.rpartition('@')[2]}", "Connection: close"]
    lines += [f"Authorization: {authorization}"] if authorization else []
    with connect(url, settings, _left(deadline)) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        head = b""
        while b"\r\n\r\n" not in head and len(head) < _LONGEST_HEAD:
            connection.settimeout(_left(deadline))
            part = connection.recv(4096)
            if not part:
                break
            head += part
    return _read(head.partition(b"\r\n\r\n")[0].decode("latin-1"))


def _read(head: str) -> _Answer:
    found = re.match(r"(?:HTTP|RTSP)/[0-9.]+ +([0-9]{3})", head)
    offers = re.findall(r"(?im)^www-authenticate:\s*(.*?)\s*$", head)
    return _Answer(int(found[1]) if found else 0, tuple(offers))


def _request(url: str) -> tuple[str, str, str]:
    """Return method, target and version."""
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    if parts.scheme.startswith("rtsp"):
        host = parts.netloc.rpartition("@")[2]
        return "DESCRIBE", f"{parts.scheme}://{host}{parts.path}{query}", "RTSP/1.0"
    return "GET", f"{parts.path or '/'}{query}", "HTTP/1.1"


def _authorization(url: str, challenges: tuple[str, ...]) -> str | None:
    """Answer a challenge (RFC 7617, RFC 7616) with the URL's user name and password."""
    parts = urlsplit(url)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    for challenge in sorted(challenges, key=str.lower, reverse=True):  # Digest before Basic
        kind = challenge.partition(" ")[0].lower()
        if kind == "basic":
            return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        given = {one[0].lower(): one[1] or one[2] for one in _PARAMETER.findall(challenge)}
        if kind == "digest" and given.get("algorithm", "MD5").upper() in ("MD5", "SHA-256"):
            return _digest(url, given, user, password)
    return None


def _digest(url: str, given: dict[str, str], user: str, password: str) -> str:
    method, uri, _ = _request(url)
    kind = "sha256" if given.get("algorithm", "").upper() == "SHA-256" else "md5"

    def hashed(*parts: str) -> str:
        return hashlib.new(kind, ":".join(parts).encode(), usedforsecurity=False).hexdigest()

    realm, nonce, once = given.get("realm", ""), given.get("nonce", ""), secrets.token_hex(8)
    qop = ("00000001", once, "auth") if "auth" in given.get("qop", "") else ()
    response = hashed(hashed(user, realm, password), nonce, *qop, hashed(method, uri))
    fields = {"username": user, "realm": realm, "nonce": nonce, "uri": uri, "response": response}
    fields |= {name: given[name] for name in ("opaque", "algorithm") if name in given}
    said = ", ".join(f'{name}="{value}"' for name, value in fields.items())
    return f"Digest {said}" + (f', qop=auth, nc=00000001, cnonce="{once}"' if qop else "")


def _left(deadline: float) -> float:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s
