r"""The file of a backup: encrypted piece by piece, so that it may be larger than the memory.

    b"lockd backup\n"  version  log2 N    r      p     salt      pieces
         13 bytes        u8       u8      u8     u8    16 bytes  AES-256-GCM, tag last

Each piece but the last has `PIECE` bytes. Its nonce is its number, and whether it is the last, so
that no piece can be left out, moved, or cut off at the end (STREAM; Hoang, Reyhanitabar, Rogaway
and Vizár, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015). The key
is of this file alone: scrypt's of the passphrase and a new salt. The header is associated data.

In the pieces are the length of the manifest (u32), the manifest (JSON), and the files it lists.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from enroll import sealed
from enroll.sealed import Cost, key_of, new_key
from lockd.commands.backup.manifest import Manifest
from lockd.errors import TransferError
from lockd.files import acting_for

VERSION = 1
PIECE = 1 << 20
_MAGIC = b"lockd backup\n"
_HEADER = struct.Struct(f">{len(_MAGIC)}sBBBB16s")
_LENGTH = struct.Struct(">I")
_TAG = 16
_MOST_MANIFEST = 1 << 20


def write(file: BinaryIO, passphrase: str, manifest: Manifest, parts: Iterable[bytes]) -> None:
    """Write a backup.

    Args:
        parts: what is in the files of the manifest, one after the other, in pieces of any size.

    Raises:
        TransferError: if the passphrase is too short.
    """
    cost, salt = Cost(sealed.LOG_N), secrets.token_bytes(16)
    header = _HEADER.pack(_MAGIC, VERSION, *cost, salt)
    cipher = AESGCM(new_key(passphrase, salt, cost))
    file.write(header)
    told = manifest.model_dump_json().encode()
    left, number = bytearray(_LENGTH.pack(len(told)) + told), 0
    for part in parts:
        left += part
        while len(left) > PIECE:
            file.write(cipher.encrypt(_nonce(number), bytes(left[:PIECE]), header))
            number += 1
            del left[:PIECE]
    file.write(cipher.encrypt(_nonce(number, last=True), bytes(left), header))


class Archive:
    """A backup that is read from its beginning to its end.

    Attributes:
        manifest: what is in it.
    """

    def __init__(self, file: BinaryIO, key: bytes, header: bytes, name: str) -> None:
        self._file, self._cipher, self._header, self._name = file, AESGCM(key), header, name
        self._number, self._left, self._ended = 0, bytearray(), False
        (length,) = _LENGTH.unpack(self.read(_LENGTH.size))
        if length > _MOST_MANIFEST:
            raise TransferError(f"{name}: its list of files is too long, so no file of ours")
        self.manifest = Manifest.read(self.read(length), name)

    def read(self, size: int) -> bytes:
        """Return the next bytes.

        Raises:
            TransferError: if there are fewer, or they are not what was written.
        """
        while len(self._left) < size:
            self._left += self._piece()
        found = bytes(self._left[:size])
        del self._left[:size]
        return found

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield the next bytes, so many in all; see `read`."""
        while size:
            part = self.read(min(size, PIECE))
            size -= len(part)
            yield part

    def finish(self) -> None:
        """Make sure that nothing is left.

        Raises:
            TransferError: if there is.
        """
        while not self._ended:
            self._left += self._piece()
        if self._left:
            raise TransferError(f"{self._name}: more is in it than it lists, so no file of ours")

    def _piece(self) -> bytes:
        content = self._file.read(PIECE + _TAG)
        if self._ended or len(content) < _TAG:
            raise TransferError(f"{self._name}: cut short; copy it again")
        self._ended = len(content) < PIECE + _TAG or not _more(self._file)
        nonce = _nonce(self._number, last=self._ended)
        self._number += 1
        try:
            return self._cipher.decrypt(nonce, content, self._header)
        except InvalidTag:
            raise TransferError(
                f"{self._name}: the passphrase is another one, or the file was altered or cut short"
            ) from None


@contextmanager
def opened(path: Path, passphrase: str) -> Iterator[Archive]:
    """Open a backup, once all of it was found to be what was written.

    Raises:
        TransferError: if it is none, is damaged or altered, or the passphrase is another.
    """
    try:
        with acting_for(path.parent):
            source = path.open("rb")
        with source as file:
            header = file.read(_HEADER.size)
            key = _key(header, passphrase, str(path))
            first = Archive(file, key, header, str(path))
            for one in first.manifest.files:
                for _ in first.pieces(one.bytes):
                    pass
            first.finish()
            file.seek(_HEADER.size)
            yield Archive(file, key, header, str(path))
    except OSError as error:
        if error.filename != str(path):
            raise
        raise TransferError(f"{path}: cannot be read: {error.strerror}") from error


def _key(header: bytes, passphrase: str, name: str) -> bytes:
    if len(header) < _HEADER.size or not header.startswith(_MAGIC):
        raise TransferError(f"{name}: not a file that `lockd backup` wrote")
    _, version, *cost, salt = _HEADER.unpack(header)
    if version != VERSION:
        raise TransferError(f"{name}: version {version}, this lockd reads {VERSION}; update lockd")
    return key_of(passphrase, salt, Cost(*cost), name)


def _nonce(number: int, *, last: bool = False) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _more(file: BinaryIO) -> bool:
    """Whether there is more in a file; its place stays."""
    there = bool(file.read(1))
    if there:
        file.seek(-1, 1)
    return there
