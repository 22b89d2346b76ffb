"""Clips of people and of prints of them, made of the photographs that come with lockd."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from lockd.types import Image
from tests.conftest import PHOTOS, ROOT
from tests.pictures import read

PORTRAITS = {
    "Obama": ROOT / "demo" / "visitors" / "barack-obama.jpg",
    "Biden": ROOT / "demo" / "people" / "Joe Biden" / "blue-room-2010.jpg",
    "Collins": PHOTOS / "eileen-collins.jpg",
}


def held_up(portrait: Image) -> Image:
    """A print of a portrait with a white margin, before a grey wall, as a camera sees it."""
    height = 380
    width = portrait.shape[1] * height // portrait.shape[0]
    sheet = cv2.resize(portrait, (width, height), interpolation=cv2.INTER_AREA)
    room = np.full((480, 640, 3), 128, np.uint8)
    x, y = 320 - width // 2, 50
    room[y - 8 : y + height + 8, x - 8 : x + width + 8] = 245
    room[y : y + height, x : x + width] = sheet
    return room


def write_clip(folder: Path, image: Image, frames: int) -> None:
    """A folder of pictures that differ by a little light."""
    folder.mkdir(parents=True)
    for number in range(frames):
        light = np.clip(image.astype(np.float32) * (1 - 0.02 * number), 0, 255)
        cv2.imwrite(str(folder / f"{number:03}.png"), light.astype(np.uint8))


def write_clips(folder: Path) -> None:
    """Two visits of each of three people, and a print of each held up."""
    for name, path in PORTRAITS.items():
        image = read(path)
        write_clip(folder / "live" / f"{name}_1", image, 4)
        write_clip(folder / "live" / f"{name}_2", image, 4)
        write_clip(folder / "attack_print" / f"fixed-print_of_{name.lower()}", held_up(image), 4)
