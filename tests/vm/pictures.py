"""Pictures of the demonstration's porch for the virtual machine's camera.

    python pictures.py FOLDER

Makes FOLDER/nobody; FOLDER/person, in which somebody enrolled looks into the camera; and
FOLDER/stranger, in which somebody else does.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2

CLIP = Path(__file__).resolve().parents[2] / "demo" / "porch.mp4"
SECONDS = {"nobody": (0.0, 1.0), "person": (6.25, 8.0), "stranger": (21.0, 26.0)}


def main(folder: Path) -> None:
    """Write every third picture of each part."""
    capture = cv2.VideoCapture(str(CLIP))
    rate = capture.get(cv2.CAP_PROP_FPS)
    number = 0
    while True:
        done, image = capture.read()
        if not done:
            break
        for name, (start, end) in SECONDS.items():
            if start <= number / rate < end and number % 3 == 0:
                (folder / name).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / name / f"{number:04}.jpg"), image)
        number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]))
