"""The list of releases, and whether it is to be believed. Pure.

A JSON file, and beside it a file `.sig` with an Ed25519 signature (RFC 8032), in base64, of `LABEL`
and the JSON's bytes. What is not signed with the key that the owner named is not even read.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from lockd.errors import InstallError

LABEL = b"lockd release index v1\n"
MOST_BYTES = 1 << 20


def _version(text: str) -> str:
    try:
        Version(text)
    except InvalidVersion as error:
        raise ValueError("no version") from error
    return text


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class File(_Part):
    """A file of a release; its name is part of no path."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._~+-]{0,199}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0, le=1 << 32)]


class Release(_Part):
    """One version, its day, where its changes are told, and its files."""

    version: Annotated[str, Field(max_length=64), AfterValidator(_version)]
    date: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    files: Annotated[list[File], Field(max_length=100)]

    def package(self, debian: str, architecture: str) -> File | None:
        """Return the Debian package for a Debian, such as 12, and a processor, such as arm64."""
        end = f"~deb{debian}u1_{architecture}.deb"
        return next((one for one in self.files if one.name.endswith(end)), None)


class Index(_Part):
    """All releases, and when the list was made."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    made_utc: datetime = Field(strict=False)
    releases: Annotated[list[Release], Field(max_length=1000)]

    def newest(self) -> Release | None:
        """Return the newest release that is no preliminary one."""
        final = [one for one in self.releases if not Version(one.version).is_prerelease]
        return max(final, key=lambda one: Version(one.version), default=None)


def public_key(pem: bytes) -> Ed25519PublicKey:
    """Return a key that signatures are checked with.

    Raises:
        InstallError: if it is none.
    """
    try:
        key = load_pem_public_key(pem)
    except ValueError as error:
        raise InstallError("no public key in PEM; get the project's release key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InstallError("no Ed25519 key; get the project's release key")
    return key


def verified(content: bytes, signature: bytes, key: Ed25519PublicKey) -> Index:
    """Return a list that was signed.

    Raises:
        InstallError: if it was not, or makes no sense.
    """
    try:
        key.verify(base64.b64decode(signature.strip(), validate=True), LABEL + content)
    except (InvalidSignature, binascii.Error, ValueError):
        raise InstallError(
            "the list of releases is not signed with the key you named; it was altered, or is "
            "somebody else's, and nothing in it was looked at"
        ) from None
    try:
        return Index.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InstallError(f"the list of releases: {place}: {first['msg']}") from None


def sign(content: bytes, pem: bytes) -> bytes:
    """Return the signature of a list, as `verified` takes it.

    Args:
        pem: the private key, unencrypted PKCS8.
    """
    key = load_pem_private_key(pem, None)
    if not isinstance(key, Ed25519PrivateKey):
        raise InstallError("no Ed25519 key; make one: openssl genpkey -algorithm ed25519")
    return base64.b64encode(key.sign(LABEL + content)) + b"\n"
