"""What an accept threshold costs: false matches and missed people on labelled photographs.

    python -m bench.thresholds FOLDER [--pairs pairs.csv]

FOLDER has one sub-folder of photographs per person. Every photograph goes
through the door's own detector, crop and networks, then every pair is compared.
The rates are per comparison of one photograph with one: a door with n templates
makes n of them for every face it judges.
"""

import argparse
import csv
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from bench.verification import Floats, all_pairs, operating_point, tenfold_accuracy, threshold_at
from lockd.types import Face, Image
from lockd.vision.embedder import Embedder
from lockd.vision.geometry import Octaves
from lockd.vision.models import Models
from lockd.vision.mtcnn import Detector

ROOT = Path(__file__).resolve().parents[1]
FALSE_MATCH_RATES = (1e-2, 1e-3, 1e-4, 1e-5)
NO_FACE = -1.0  # the cosine of a pair in which a photograph shows no face


@dataclass(frozen=True)
class Embedded:
    """The photographs in which a face was found, by their path below the folder."""

    vectors: dict[str, Floats]
    without_face: list[str]

    def people(self) -> list[str]:
        """Who is on each photograph."""
        return [Path(name).parts[0] for name in self.vectors]

    def cosine(self, first: str, second: str) -> float:
        """Likeness of two photographs."""
        if first not in self.vectors or second not in self.vectors:
            return NO_FACE
        return float(self.vectors[first] @ self.vectors[second])


def subject(faces: list[Face], image: Image) -> Face:
    """The face that a photograph is of: large and near the middle."""
    height, width = image.shape[:2]

    def prominence(face: Face) -> float:
        x, y = face.box.centre
        off_centre = math.hypot(x - width / 2, y - height / 2)
        return face.box.width * face.box.height - 2 * off_centre**2

    return max(faces, key=prominence)


def embed_folder(
    folder: Path, models: Models, min_face_px: int, profile: str = "accurate"
) -> Embedded:
    """Every photograph below a folder through the door's pipeline."""
    detector, embedder = Detector(models, min_face_px=min_face_px), Embedder(models, profile)
    embedded = Embedded({}, [])
    for path in sorted(folder.rglob("*.jpg")):
        name = path.relative_to(folder).as_posix()
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"{path}: not a photograph that OpenCV can read")
        octaves = Octaves(np.asarray(image, np.uint8))
        if faces := detector.detect_in(octaves):
            embedded.vectors[name] = embedder.embed(octaves, subject(faces, octaves.image))
        else:
            embedded.without_face.append(name)
    return embedded


def print_operating_points(embedded: Embedded, thresholds: list[float]) -> None:
    """The table of thresholds: those at round false match rates, then the given ones."""
    pairs = all_pairs(np.stack(list(embedded.vectors.values())), embedded.people())
    print(
        f"{len(embedded.vectors)} photographs of {len(set(embedded.people()))} people "
        f"({len(embedded.without_face)} more without a face found): "
        f"{len(pairs.genuine)} genuine and {len(pairs.impostor)} impostor pairs"
    )
    print("threshold   FMR       95 % interval         TMR     95 % interval")
    for threshold in [threshold_at(pairs, rate) for rate in FALSE_MATCH_RATES] + thresholds:
        point = operating_point(pairs, threshold)
        print(
            f"{point.threshold:.3f}       {point.fmr:.1e}   "
            f"{point.fmr_interval[0]:.1e} .. {point.fmr_interval[1]:.1e}   "
            f"{point.tmr:6.2%}   {point.tmr_interval[0]:.2%} .. {point.tmr_interval[1]:.2%}"
        )


def print_accuracy(embedded: Embedded, pairs_csv: Path) -> None:
    """Ten-fold accuracy on the pairs of a file with the columns first, second, same."""
    with pairs_csv.open(newline="") as file:
        listed = [(row["first"], row["second"], row["same"] == "1") for row in csv.DictReader(file)]
    cosines = np.array([embedded.cosine(first, second) for first, second, _ in listed])
    mean, error = tenfold_accuracy(cosines, np.array([same for _, _, same in listed]))
    print(f"accuracy on {len(listed)} listed pairs, ten-fold: {mean:.2%} +- {error:.2%}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="one sub-folder of .jpg files per person")
    parser.add_argument("--pairs", type=Path, help="a list of pairs: first,second,same")
    parser.add_argument("--models", type=Path, default=ROOT / "models")
    parser.add_argument("--profile", default="accurate", help="accurate or light")
    parser.add_argument("--min-face-px", type=int, default=60)
    parser.add_argument(
        "--threshold", type=float, action="append", default=[], help="judge this too"
    )
    options = parser.parse_args()
    models = Models.load(options.models)
    embedded = embed_folder(options.folder, models, options.min_face_px, options.profile)
    print_operating_points(embedded, options.threshold)
    if options.pairs is not None:
        print_accuracy(embedded, options.pairs)


if __name__ == "__main__":
    main()
