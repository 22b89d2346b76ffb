"""Photographs to measure on: the portraits in this repository, or a folder of one's own."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

ROOT = Path(__file__).resolve().parents[2]
PORTRAITS = ("demo/people", "demo/visitors", "tests/data/photos")


def portraits() -> list[Path]:
    """The committed photographs that show a person."""
    found = [path for folder in PORTRAITS for path in (ROOT / folder).rglob("*.jpg")]
    if not found:
        raise FileNotFoundError(f"no photographs in {', '.join(PORTRAITS)} of {ROOT}")
    return sorted(found)


def sample(folder: Path, count: int) -> list[Path]:
    """At most `count` photographs out of a folder of folders, spread evenly over it."""
    found = sorted(path for path in folder.rglob("*.jpg"))
    if not found:
        raise FileNotFoundError(f"{folder}: no .jpg in it or below it")
    step = max(1, len(found) // count)
    return found[::step][:count]


def read(path: Path) -> Pixels:
    """A photograph as uint8 (height, width, 3), BGR, its EXIF rotation applied."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path}: not a photograph that OpenCV can read")
    return np.asarray(image, np.uint8)


def read_all(paths: list[Path]) -> Iterator[Pixels]:
    """Each photograph in turn."""
    return (read(path) for path in paths)
