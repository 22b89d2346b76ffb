"""Whether a camera that speaks TLS is the camera, and FFmpeg's options that make it sure.

FFmpeg verifies what it is told to verify: OpenCV hands it options through the environment
alone, read whenever a capture is opened. It compares the name in the certificate with a host's
name, and not at all with an address in digits; older ones with neither. So lockd looks first.
"""

from __future__ import annotations

import os
import queue
import re
import socket
import ssl
import threading
from contextlib import closing
from ipaddress import ip_address
from urllib.parse import urlsplit

from lockd.config import ENCRYPTED, CameraSettings
from lockd.errors import CameraError, CameraTrouble

_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_OWNERS = os.environ.get(_OPTIONS, "rtsp_flags;prefer_tcp")  # the latter is OpenCV's own choice
PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
LOOK_S = 4.0
"""The longest look at a server that is not FFmpeg's."""


def instruct_ffmpeg(settings: CameraSettings) -> None:
    """Have FFmpeg verify, or not, whatever TLS it meets from now on, after a redirection too."""
    ours = "tls_verify;0" if settings.tls == "unverified" else "tls_verify;1"
    if (file := settings.authorities()) is not None:
        ours += "|ca_file;" + re.sub(r"([\\';|\s])", r"\\\1", str(file))
    os.environ[_OPTIONS] = f"{_OWNERS}|{ours}"


def check_certificate(url: str, name: str, settings: CameraSettings) -> None:
    """Refuse a camera whose certificate is not trusted, or is for another name.

    Raises:
        CameraError: saying what is wrong with it.
        OSError: if it cannot be seen. Then the stream must not be opened either: who let no
            look at the certificate may have another one for FFmpeg.
    """
    if settings.authorities() is None:
        return
    host = urlsplit(url).hostname or ""
    if settings.ca_file is None and _is_address(host):
        raise _untrusted(
            name,
            f"the system's authorities vouch for names, and {host} is none; write its name, or "
            "name its own authority in camera.ca_file",
        )
    try:
        connect(url, settings, min(LOOK_S, settings.open_timeout_s)).close()
    except ssl.SSLCertVerificationError as error:
        raise untrusted(name, error) from None


def untrusted(name: str, error: ssl.SSLCertVerificationError) -> CameraError:
    """Return the error for a certificate that was refused."""
    return _untrusted(
        name,
        f"its certificate is not trusted ({error.verify_message.rstrip('.')}); name the authority "
        "that signed it in camera.ca_file. Or is somebody in its place?",
    )


def connect(url: str, settings: CameraSettings, limit_s: float) -> socket.socket:
    """Connect to the server of a URL; over TLS if it says so.

    Raises:
        CameraError: if the file of authorities cannot be read.
        OSError: if that fails, or takes too long.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    plain = socket.create_connection((_resolved(host, port, limit_s), port), limit_s)
    if not url.startswith(ENCRYPTED):
        return plain
    try:
        return _context(settings).wrap_socket(plain, server_hostname=host)
    except BaseException:
        with closing(plain):
            raise


def _context(settings: CameraSettings) -> ssl.SSLContext:
    file = settings.authorities()
    if file is None:
        return ssl._create_unverified_context()  # noqa: S323  # its owner has said so
    try:
        context = ssl.create_default_context(cafile=str(file))
    except OSError as error:
        raise CameraError(
            f"camera.ca_file: {file}: {error.strerror or error}; name a readable file of "
            "certificates in PEM",
            CameraTrouble.DENIED,
        ) from error
    # What cameras make for themselves is seldom by the letter of RFC 5280.
    context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
    return context


def _resolved(host: str, port: int, limit_s: float) -> str:
    """Return a host's address. A name server that is away keeps `getaddrinfo` for half a minute.

    Raises:
        OSError: if there is no such host, or no answer in time.
    """
    found: queue.SimpleQueue[str | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found.put(str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0]))
        except (OSError, UnicodeError) as error:
            found.put(error if isinstance(error, OSError) else socket.gaierror(str(error)))

    threading.Thread(target=ask, name="camera-name", daemon=True).start()
    try:
        answer = found.get(timeout=limit_s)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _untrusted(name: str, why: str) -> CameraError:
    return CameraError(f"camera {name}: not opened: {why}", CameraTrouble.DENIED)


def _is_address(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return False
