"""Embeddings kept between runs, found again by what was embedded and how.

One file for every way to embed, named after it. It holds what faces can be compared
by, so only its owner may read it. A file that is damaged is worth nothing and is
replaced; nothing else is lost by that.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lockd.errors import ImageError
from lockd.files import make_folder, write_over
from lockd.types import Embedding

Digests: TypeAlias = NDArray[np.uint8]
Reasons: TypeAlias = NDArray[np.str_]

_DIGEST = 32
_REASON = "U32"


@dataclass(frozen=True, eq=False)
class Found:
    """What came of a photograph: an embedding, or why there is none.

    Attributes:
        embedding: of its face; None if there is no face to compare.
        template: what it is compared as once it is enrolled; None as `embedding`.
        reason: why not; empty if there is one.
    """

    embedding: Embedding | None
    template: Embedding | None = None
    reason: str = ""


class Cache:
    """Answers by photograph, for one way to embed."""

    def __init__(self, folder: Path | None, recipe: str, size: int) -> None:
        """Read what earlier runs left.

        Args:
            folder: of the files; None keeps nothing between runs.
            recipe: hexadecimal, of everything that an embedding depends on but the
                photograph.
            size: length of an embedding.
        """
        self.path = None if folder is None else folder / f"embeddings-{recipe[:32]}.npz"
        self.damaged = False
        self._size = size
        self._known: dict[bytes, Found] = {}
        self._changed = False
        if self.path is not None and self.path.exists():
            try:
                self._known = _read(self.path, size)
            except Exception:  # what damage raises depends on what it hits
                self.damaged = True

    def __len__(self) -> int:
        """Return how many photographs are known."""
        return len(self._known)

    def get(self, digest: bytes) -> Found | None:
        """Return what came of a photograph, or None if it is new."""
        return self._known.get(digest)

    def put(self, digest: bytes, found: Found) -> None:
        """Remember what came of a photograph, by its SHA-256."""
        self._known[digest] = found
        self._changed = True

    def save(self) -> None:
        """Write what was added, all or nothing, readable by its owner only.

        Raises:
            ImageError: if it cannot be written.
        """
        if self.path is None or not self._changed:
            return
        try:
            make_folder(self.path.parent)
            content = io.BytesIO()
            np.savez(content, **self._as_arrays())
            write_over(self.path, content.getvalue())
        except OSError as error:
            raise ImageError(
                f"{self.path}: the embeddings cannot be kept: {error.strerror}; "
                "name another folder with --cache, or use --no-cache"
            ) from error
        self._changed = False

    def _as_arrays(self) -> dict[str, Any]:
        nothing = np.zeros(self._size, np.float32)
        everything = list(self._known.values())
        return {
            "digests": np.frombuffer(b"".join(self._known), np.uint8).reshape(-1, _DIGEST),
            "reasons": np.array([one.reason for one in everything], _REASON),
            **{
                name: np.array(
                    [nothing if one is None else one for one in vectors], np.float32
                ).reshape(-1, self._size)
                for name, vectors in (
                    ("embeddings", [one.embedding for one in everything]),
                    ("templates", [one.template for one in everything]),
                )
            },
        }


def digest_of(content: bytes) -> bytes:
    """Return what a photograph is found by: the SHA-256 of its file."""
    return hashlib.sha256(content).digest()


def _read(path: Path, size: int) -> dict[bytes, Found]:
    """Read a file, or raise ValueError if it cannot be what `Cache` wrote."""
    names = ("digests", "reasons", "embeddings", "templates")
    # Opened here: numpy leaves a damaged file open.
    with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
        digests, reasons, embeddings, templates = (file[name] for name in names)
    count = len(digests)
    if digests.shape != (count, _DIGEST) or digests.dtype != np.uint8:
        raise ValueError("digests of another kind")
    for vectors in (embeddings, templates):
        if vectors.shape != (count, size) or vectors.dtype != np.float32:
            raise ValueError("embeddings of another kind")
    if reasons.shape != (count,) or reasons.dtype != np.dtype(_REASON):
        raise ValueError("reasons of another kind")
    good = reasons == ""
    norms = np.linalg.norm(np.concatenate([embeddings[good], templates[good]]), axis=1)
    if not np.all(np.abs(norms - 1.0) < 1e-3):  # NaN is not less
        raise ValueError("embeddings that are no unit vectors")
    return {
        digest.tobytes(): Found(one, other) if fine else Found(None, reason=str(reason))
        for digest, one, other, reason, fine in zip(
            digests, embeddings, templates, reasons, good, strict=True
        )
    }
