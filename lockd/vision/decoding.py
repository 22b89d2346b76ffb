"""Photographs in the formats that telephones, cameras and scanners save: bytes to pixels.

Pillow decodes all of them, HEIC with libheif. It tells a picture's size before it makes
room for it, and holds what it decodes to that size, so that no file costs more than
`MAX_PIXELS` whatever it claims. What a file is called never matters.
"""

from __future__ import annotations

import io
import warnings
from contextlib import suppress

import numpy as np
import pi_heif
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from lockd.errors import ImageError
from lockd.types import Image

MAX_PIXELS = 2**26
"""The most that is decoded: 67 million, 192 MiB as BGR. Telephones have about 50 million."""

HEAD_BYTES = 32
"""How much of a file `is_picture` looks at."""

_FORMATS = ("JPEG", "PNG", "HEIF", "AVIF", "WEBP", "TIFF", "BMP", "GIF")
_USE = "use a JPEG, PNG, HEIC, AVIF, WebP, TIFF, BMP or GIF file"
_STRIP_PX = 256  # rows that are copied at a time: Pillow needs the memory of a copy thrice

pi_heif.register_heif_opener(
    thumbnails=False, depth_images=False, aux_images=False, decode_threads=1
)
Pillow.init()
Pillow.MAX_IMAGE_PIXELS = MAX_PIXELS


def is_picture(head: bytes) -> bool:
    """Return whether a file that begins so is of a format that `decode` knows.

    Args:
        head: its first `HEAD_BYTES`.
    """
    accepts = (Pillow.OPEN[name][1] for name in _FORMATS if name in Pillow.OPEN)
    return any(accept is not None and accept(head) is True for accept in accepts)


def decode(content: bytes, name: str) -> Image:
    """Decode a photograph, upright by its EXIF orientation.

    Args:
        content: JPEG, PNG, HEIC, AVIF, WebP, TIFF, BMP or GIF; of several pictures in it,
            as in an animation, the first.
        name: for the error message.

    Returns:
        uint8 (height, width, 3), BGR; transparency dropped.

    Raises:
        ImageError: if it is another kind of file, is cut short, has mistakes in it, or
            claims to be larger than any photograph; then it was not decoded.
    """
    if not content:
        raise ImageError(f"{name}: the file is empty; {_USE}")
    try:
        with warnings.catch_warnings():  # of what is odd in a file nobody need know
            warnings.simplefilter("ignore")
            return _decoded(content, name)
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{name}: not a photograph; {_USE}") from None
    except Pillow.DecompressionBombError:
        raise ImageError(
            f"{name}: says it has more than the {MAX_PIXELS // 10**6} million pixels that are "
            "decoded; make it smaller"
        ) from None
    except MemoryError as error:
        raise ImageError(f"{name}: too little memory to decode it; make it smaller") from error
    # Files made to break decoders raise whatever there is, from deep within Pillow.
    except Exception as error:
        if "truncated" in str(error):
            raise ImageError(f"{name}: the file is cut short; copy it again") from error
        raise ImageError(f"{name}: a photograph with mistakes in it; save it again") from error


def _decoded(content: bytes, name: str) -> Image:
    with Pillow.open(io.BytesIO(content), formats=_FORMATS) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise Pillow.DecompressionBombError
        picture.load()
        with suppress(Exception):  # an orientation that cannot be read turns nothing
            ImageOps.exif_transpose(picture, in_place=True)
        if picture.mode.startswith("I;16"):
            return _pixels(picture.point(lambda level: level / 256, "L"))
        return _pixels(picture)


def _pixels(picture: Pillow.Image) -> Image:
    pixels = np.empty((picture.height, picture.width, 3), np.uint8)
    for top in range(0, picture.height, _STRIP_PX):
        rows = pixels[top : top + _STRIP_PX]
        strip = picture.crop((0, top, picture.width, top + len(rows)))
        rows[:] = np.asarray(strip.convert("RGB"))[..., ::-1]
    return pixels
