"""A network camera over one socket: HTTP or RTSP, with or without TLS, with log-in or without."""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lockd.vision.pictures import encode_jpeg
from tests.adapters.studio import plain
from tests.patience import PATIENCE_S

Answer = Callable[[str], bytes]
"""From a request's head to what is sent."""


def film(_: str) -> bytes:
    jpeg = encode_jpeg(plain(100))
    part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg) + jpeg
    kind = b"Content-Type: multipart/x-mixed-replace; boundary=frame"
    return b"HTTP/1.0 200 OK\r\n" + kind + b"\r\n\r\n" + (part + b"\r\n") * 20


def status(code: int, *headers: str) -> Answer:
    """Answers every request with a status, in the request's own protocol."""

    def answer(head: str) -> bytes:
        cseq = re.search(r"(?im)^cseq: *(\d+)", head)
        version = "RTSP/1.0" if cseq else "HTTP/1.0"
        more = [*headers, *([f"CSeq: {cseq[1]}"] if cseq else []), "Content-Length: 0"]
        return "\r\n".join([f"{version} {code} Said", *more, "", ""]).encode()

    return answer


def locked(user: str, password: str, inside: Answer, kind: str = "basic") -> Answer:
    """Lets in who knows the password, and asks everybody else for it."""
    basic = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    offer = 'Basic realm="r"' if kind == "basic" else 'Digest realm="r", nonce="n", qop="auth"'

    def digest(head: str) -> bool:
        given = dict(re.findall(r'(\w+)="?([^",\r]*)', head.partition("Digest ")[2]))
        if not given:
            return False

        def md5(*parts: str) -> str:
            return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()

        secret, what = md5(user, "r", password), md5(head.partition(" ")[0], given["uri"])
        return given["response"] == md5(
            secret, "n", given["nc"], given["cnonce"], given["qop"], what
        )

    def answer(head: str) -> bytes:
        good = basic in head if kind == "basic" else digest(head)
        return inside(head) if good else status(401, f"WWW-Authenticate: {offer}")(head)

    return answer


@contextlib.contextmanager
def camera(answer: Answer | None, certificate: Path | None = None) -> Iterator[int]:
    """Serve, and say at which port; None keeps silent."""
    over = threading.Event()
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(PATIENCE_S)
            spoken = context.wrap_socket(connection, server_side=True) if context else connection
            with spoken:
                while not over.is_set():
                    head = b""
                    while b"\r\n\r\n" not in head:
                        part = spoken.recv(4096)
                        if not part:
                            return
                        if part.startswith(b"\x16"):  # TLS, which this server does not speak
                            spoken.sendall(status(400)(""))
                            return
                        head += part
                    if answer is None:
                        over.wait(PATIENCE_S)
                        return
                    said = answer(head.decode())
                    spoken.sendall(said)
                    if not said.startswith(b"RTSP"):
                        return

    def listen() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=listen, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            server.shutdown(socket.SHUT_RDWR)


class Authority:
    """Signs certificates."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self.file = folder / "authority.pem"
        made = self._made(self._name, self._key, [], is_authority=True)
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def certify(self, name: str, hosts: list[str]) -> Path:
        """Return a file with a certificate for these names and addresses, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._made(subject, key, hosts, is_authority=False)
        file = self._folder / f"{name}.pem"
        file.write_bytes(
            made.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return file

    def _made(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        hosts: list[str],
        *,
        is_authority: bool,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        )
        if hosts:
            names = [
                x509.IPAddress(ipaddress.ip_address(one)) if one[0].isdigit() else x509.DNSName(one)
                for one in hosts
            ]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())
