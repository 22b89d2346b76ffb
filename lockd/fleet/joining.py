"""A door comes in: the fleet's key over a channel that nobody trusts.

By a code: whoever invites and the door that joins exchange fresh X25519 keys over the broker, and
people at both compare six digits. A broker in between would have to exchange the keys, and the
digits are of the keys: the door commits to its own, by their hash, before it learns the other's, so
that nobody can try out keys until digits agree (a commitment as in Vaudenay, "Secure Communications
over Insecure Channels Based on Short Authenticated Strings", CRYPTO 2005). A try succeeds once in a
million, each takes two people, and a code is good for one. The code itself, by scrypt, keeps others
who may publish from meddling.

By files: the door writes its public keys, whoever invites boxes the answer for them. Neither file
is secret; who made them is compared by the names of the keys.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from typing import Annotated, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import Field, ValidationError

from lockd.fleet.charter import Hex32
from lockd.fleet.records import Part
from lockd.fleet.sealing import KEY_BYTES, Refused, id_of, public_boxer, public_signer, unbox
from lockd.fleet.sealing import box as boxed
from lockd.fleet.state import State, admit

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
CODE_LENGTH = 12
LONGEST = 1 << 20
_WHERE = 4
_BY_FILE = "join by file"
_LABEL = b"lockd fleet join 1\n"
_P = TypeVar("_P", bound=Part)


class Request(Part):
    """What a door that joins says of itself.

    Attributes:
        once: X25519, for this once.
    """

    door: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    sign: Hex32
    box: Hex32
    once: Hex32
    nonce: Hex32


class Commitment(Part):
    """The hash of what will be said."""

    commit: Hex32


class Invitation(Part):
    """What whoever invites says of itself."""

    once: Hex32
    nonce: Hex32


class Package(Part):
    """What a door of the fleet must know."""

    fleet: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    root: Hex32
    digest_key: Hex32
    keys: dict[str, Hex32]
    charter: str
    certificate: str
    expected: dict[str, int]
    seen: dict[str, int]


class Newcomer:
    """A door that joins.

    Attributes:
        request: what it says of itself.
    """

    def __init__(self, door: str, signer: bytes, boxer: bytes) -> None:
        """Take its keys, Ed25519 and X25519, private."""
        self._door, self._sign, self._box = door, signer, boxer
        self._once = X25519PrivateKey.generate()
        self.request = Request(
            door=door,
            sign=public_signer(signer).hex(),
            box=public_boxer(boxer).hex(),
            once=self._once.public_key().public_bytes_raw().hex(),
            nonce=secrets.token_hex(32),
        )

    def commitment(self) -> Commitment:
        """Return what is said first."""
        return Commitment(commit=commitment(self.request))

    def received(self, sealed: bytes, invitation: Invitation) -> State:
        """Return the state of a door of the fleet, once people have compared the digits.

        Raises:
            Refused: if it is not from whoever sent the invitation, or makes no sense.
        """
        shared = _exchanged(self._once, invitation.once)
        return self._opened(_unsealed(shared, self.request, invitation, sealed))

    def received_file(self, content: bytes) -> State:
        """Return the same of an answer in a file, once people have compared the root key's name.

        Raises:
            Refused: as `received`.
        """
        return self._opened(unbox(self._box, content, _BY_FILE))

    def _opened(self, plain: bytes) -> State:
        package = read(Package, plain)
        try:
            state = State(
                fleet=package.fleet,
                door=self._door,
                root=_raw(package.root),
                sign=self._sign,
                box=self._box,
                digest_key=_raw(package.digest_key),
                certificate=_raw(package.certificate),
                charter=_raw(package.charter),
                keys={int(one): _raw(key) for one, key in package.keys.items()},
                seen=dict(package.seen),
                expected=dict(package.expected),
            )
        except ValueError:
            raise Refused("malformed") from None
        state.read_charter()
        return state


class Inviter:
    """Whoever lets a door in, at the door with the root key."""

    def __init__(self) -> None:
        self._once = X25519PrivateKey.generate()
        once = self._once.public_key().public_bytes_raw().hex()
        self.invitation = Invitation(once=once, nonce=secrets.token_hex(32))

    def admitted(self, state: State, request: Request, *, enrols: bool, time: int) -> bytes:
        """Let the door in, once people have compared the digits; return what is sent to it.

        Raises:
            Refused: `revoked`, or `key` if nothing can be boxed for it.
        """
        shared = _exchanged(self._once, request.once)
        plain = _package(state, request, enrols=enrols, time=time)
        return _sealed(shared, request, self.invitation, plain)


def admitted_by_file(state: State, request: Request, *, enrols: bool, time: int) -> bytes:
    """Let a door in whose request came in a file; return the file with the answer.

    Raises:
        Refused: `revoked`, or `key` if nothing can be boxed for it.
    """
    return boxed(_raw(request.box), _package(state, request, enrols=enrols, time=time), _BY_FILE)


def _package(state: State, request: Request, *, enrols: bool, time: int) -> bytes:
    signer, boxer = _raw(request.sign), _raw(request.box)
    if id_of(signer) in state.read_charter().revoked:
        raise Refused("revoked")
    _exchanged(X25519PrivateKey.generate(), request.box)  # or the fleet could have no other key
    certificate = admit(state, request.door, signer, boxer, enrols=enrols, time=time)
    package = Package(
        fleet=state.fleet,
        root=state.root.hex(),
        digest_key=state.digest_key.hex(),
        keys={str(number): key.hex() for number, key in state.keys.items()},
        charter=state.charter.hex(),
        certificate=certificate.hex(),
        expected={by: count for by, (count, _) in state.gone.items()},
        seen=state.seen,
    )
    return package.model_dump_json().encode()


def new_code() -> str:
    """Return a code to join with, once: 59 bits, in groups of four."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
    return "-".join(letters[place : place + 4] for place in range(0, CODE_LENGTH, 4))


def code_of(text: str) -> str:
    """Return a code as it was typed, without what stands between.

    Raises:
        Refused: `code`.
    """
    code = "".join(one for one in text.lower() if one.isalnum())
    if len(code) != CODE_LENGTH or set(code) - set(ALPHABET):
        raise Refused("code")
    return code


class Channel:
    """What goes to and fro on the topics of a code, in whole messages with a keyed hash each."""

    def __init__(self, code: str) -> None:
        """Derive topic and key from a code; takes a tenth of a second, and 16 megabytes."""
        where = hashlib.sha256(_LABEL + code[:_WHERE].encode()).hexdigest()[:16]
        self._key = hashlib.scrypt(code.encode(), salt=_LABEL, n=1 << 14, r=8, p=1, dklen=32)
        self.to_fleet, self.to_door = f"join/{where}/fleet", f"join/{where}/door"

    def wrapped(self, topic: str, step: int, said: bytes) -> bytes:
        """Return what is published."""
        return self._tag(topic, step, said) + said

    def unwrapped(self, topic: str, step: int, message: bytes) -> bytes | None:
        """Return what was said in a step, None if it is not of this code, topic and step."""
        tag, said = message[:32], message[32:LONGEST]
        return said if hmac.compare_digest(tag, self._tag(topic, step, said)) else None

    def _tag(self, topic: str, step: int, said: bytes) -> bytes:
        text = f"{topic} {step}\n".encode() + said
        return hmac.new(self._key, text, hashlib.sha256).digest()


def commitment(request: Request) -> str:
    """Return the hash that a door commits itself to."""
    return hashlib.sha256(_LABEL + request.model_dump_json().encode()).hexdigest()


def digits(request: Request, invitation: Invitation) -> str:
    """Return what people at both doors compare: six digits of all that was exchanged."""
    number = int.from_bytes(_transcript(request, invitation)[:8]) % 1_000_000
    return f"{number // 1000:03d} {number % 1000:03d}"


def said(part: Part) -> bytes:
    """Return a part as it is sent."""
    return part.model_dump_json().encode()


def read(kind: type[_P], plain: bytes) -> _P:
    """Read what `said` wrote.

    Raises:
        Refused: `too_large` or `malformed`.
    """
    if len(plain) > LONGEST:
        raise Refused("too_large")
    try:
        return kind.model_validate(json.loads(plain))
    except (ValidationError, ValueError, RecursionError):
        raise Refused("malformed") from None


def _transcript(request: Request, invitation: Invitation) -> bytes:
    return hashlib.sha256(_LABEL + said(request) + b"\n" + said(invitation)).digest()


def _cipher(shared: bytes, request: Request, invitation: Invitation) -> AESGCM:
    salt = _transcript(request, invitation)
    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt=salt, info=_LABEL).derive(shared))


def _sealed(shared: bytes, request: Request, invitation: Invitation, plain: bytes) -> bytes:
    # The key is of this exchange alone and used this once.
    return _cipher(shared, request, invitation).encrypt(bytes(12), plain, _LABEL)


def _unsealed(shared: bytes, request: Request, invitation: Invitation, sealed: bytes) -> bytes:
    try:
        return _cipher(shared, request, invitation).decrypt(bytes(12), sealed, _LABEL)
    except InvalidTag:
        raise Refused("seal") from None


def _exchanged(mine: X25519PrivateKey, theirs: str) -> bytes:
    """Return what both keys give; some give nothing.

    Raises:
        Refused: `key`.
    """
    try:
        return mine.exchange(X25519PublicKey.from_public_bytes(_raw(theirs)))
    except ValueError:
        raise Refused("key") from None


def _raw(text: str) -> bytes:
    return bytes.fromhex(text)
