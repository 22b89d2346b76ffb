"""How much work is a frame for lockd, and for other Python projects?

Every route sees the same frames of 640x480 and embeds the largest face. They take turns of a few
frames in one run, each in a process and an environment of its own, so that whatever else the
machine does hits all alike. On a machine that does other work as well the ratio of processor times
says more than that of the times on the clock.

They are not asked the same everywhere: PyPI `mtcnn` looks for faces from 20 px, its default and the
only size at which it is dependable, dlib's HOG from about 80, `facenet-pytorch` from 20; lockd from
60, for nobody at a door is smaller. `facenet-20` is lockd with FaceNet alone from 20 px.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lockd.commands.bench.report import bars, machine
from lockd.commands.bench.scenes import nobody, one_face
from lockd.types import Image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PORTRAIT = ROOT / "tests" / "data" / "photos" / "eileen-collins.jpg"
ROUTES = {
    "mtcnn-keras": ("keras", "PyPI mtcnn + Keras FaceNet"),
    "dlib": ("dlib", "face_recognition (dlib)"),
    "facenet-pytorch": ("torch", "facenet-pytorch, MTCNN alone"),
    "opencv": ("opencv", "OpenCV YuNet + SFace"),
    "accurate": ("", "lockd, accurate"),
    "light": ("", "lockd, light"),
    "facenet": ("", "lockd, facenet"),
    "facenet-20": ("", "lockd, facenet, from 20 px"),
}
"""By name: the environment, none for lockd's own, and what it is called."""
OWN = ("accurate", "light")
FRAMES_A_TURN = 3
WARM_UP = 2


def portrait() -> Image:
    """The top of a portrait in the camera's shape and size."""
    image = cv2.imread(str(PORTRAIT))
    assert image is not None
    rows = image.shape[1] * 480 // 640
    return cv2.resize(image[:rows], (640, 480), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


@dataclass
class Runner:
    """A route in its process."""

    name: str
    process: subprocess.Popen[str]
    times: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    found: dict[str, bool] = field(default_factory=dict)

    @classmethod
    def start(cls, name: str, tree: Path, threads: int) -> Runner:
        environment, _ = ROUTES[name]
        python = tree / environment / "bin" / "python" if environment else sys.executable
        held = {f"{one}_NUM_THREADS": str(threads) for one in ("OMP", "OPENBLAS", "MKL")}
        process = subprocess.Popen(
            [python, HERE / "worker.py", name, str(threads), tree / "sources"],
            env={**os.environ, "PYTHONPATH": str(ROOT), **held},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        runner = cls(name, process)
        if runner._answer() != "ready\n":
            raise SystemExit(f"{name}: does not start; run bench/peers/run.sh --set-up")
        return runner

    def turn(self, scene: str, frame: Path) -> None:
        """Look a few times."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{frame}\t{FRAMES_A_TURN}\n")
        self.process.stdin.flush()
        answer = json.loads(self._answer())
        self.times[scene] += answer["times"]
        self.found[scene] = answer["box"] is not None

    def medians(self, scene: str) -> tuple[float, float]:
        """Milliseconds on the clock and of the processor."""
        taken = np.array(self.times[scene][WARM_UP * FRAMES_A_TURN :])
        clock, processor = (1e3 * np.median(taken, axis=0)).tolist()
        return clock, processor

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name}: ended with exit code {self.process.wait()}")
        return line


def measure(names: list[str], tree: Path, threads: int, rounds: int) -> dict[str, Any]:
    """Have all look at all scenes, in turns: medians in milliseconds by route and scene."""
    scenes = {"a portrait": portrait(), "one face": one_face(), "nobody": nobody()}
    runners = [Runner.start(name, tree, threads) for name in names]
    with tempfile.TemporaryDirectory() as folder:
        frames = {name: Path(folder) / f"{number}.npy" for number, name in enumerate(scenes)}
        for name, image in scenes.items():
            np.save(frames[name], image)
        for _ in range(WARM_UP + rounds):
            for name, frame in frames.items():
                for runner in runners:
                    runner.turn(name, frame)
    for runner in runners:
        runner.process.kill()
        runner.process.wait()
    return {
        runner.name: {
            scene: dict(
                zip(("clock_ms", "processor_ms"), runner.medians(scene), strict=True),
                found=runner.found[scene],
            )
            for scene in scenes
        }
        for runner in runners
    }


def table(run: dict[str, Any]) -> str:
    """A row for each route: milliseconds, and how many times lockd's of the processor."""
    scenes = list(next(iter(run.values())))
    own = [name for name in OWN if name in run]
    lines = [
        "| | " + " | ".join(scenes) + " | " + " | ".join(f"times {name}" for name in own) + " |"
    ]
    lines.append("|---" * (1 + len(scenes) + len(own)) + "|")
    for name, by_scene in run.items():
        cells = [
            f"{one['clock_ms']:.1f} ({one['processor_ms']:.1f})"
            + ("" if one["found"] or scene == "nobody" else ", not found")
            for scene, one in by_scene.items()
        ]
        cells += [
            ", ".join(
                f"{one['processor_ms'] / run[ours][scene]['processor_ms']:.1f}"
                for scene, one in by_scene.items()
            )
            for ours in own
        ]
        lines.append(f"| {ROUTES[name][1]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(prog="bench/peers/run.sh", description=__doc__)
    options.add_argument("tree", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--threads", type=int, action="append", help="repeatable; 1 and 2")
    options.add_argument("--route", action="append", choices=ROUTES, help="only this; repeatable")
    options.add_argument("--json", type=Path, help="write the figures")
    options.add_argument("--plot", type=Path, help="draw the processor's times: an SVG file")
    chosen = options.parse_args()
    about = machine()
    print(f"{about['board']}, {about['cores']} cores, {about['kernel']}, Python {about['python']}")
    print("milliseconds on the clock and, in brackets, of the processor; medians")
    runs = {}
    for threads in chosen.threads or (1, 2):
        run = measure(chosen.route or list(ROUTES), chosen.tree, threads, chosen.rounds)
        runs[str(threads)] = run
        print(f"\n{threads} thread{'s' if threads > 1 else ''}\n{table(run)}", flush=True)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps({"machine": about, "threads": runs}, indent=2) + "\n")
    if chosen.plot is not None:
        first = next(iter(runs.values()))
        rows = [
            (ROUTES[name][1], one["one face"]["processor_ms"], one["one face"]["processor_ms"])
            for name, one in first.items()
        ]
        chosen.plot.write_text(bars(rows, "of the processor, one face, one thread"), "utf-8")


if __name__ == "__main__":
    main()
