"""Builds `porch.mp4`, the clip that stands in for a camera when there is none.

A demonstration of a door needs visitors, and it has to recognise *real* faces: a
drawn one would only show that the detector can be fooled. So the porch is drawn here
and the people in it are photographs (`visitors/`, see ATTRIBUTION.md), cut out, lit
and moved the way somebody walks up to a camera at eye level:

    sky, hedge, path  <  somebody outside  <  brick wall with a doorway
                      <  somebody inside   <  a planter, out of focus

The camera hangs at the height of the visitors' eyes, so a face keeps its height in
the picture while it grows. Nobody in the clip is nearer than life: the faces grow
from about 40 to about 150 pixels, the range a door camera sees.

Needs only OpenCV, NumPy and, to encode, the `ffmpeg` command (Debian: `ffmpeg`).

    python demo/make_clip.py                    # porch.mp4 and porch.json
    python demo/make_clip.py --stills 2 7 20    # single frames as PNG, to look at
    python demo/make_clip.py --recut            # cut the visitors out again
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
WIDTH, HEIGHT, FPS = 640, 480, 12
EYE_LEVEL_Y = 205.0
"""Row of the visitors' faces: the camera's own height, so distance does not move it."""
DOORWAY = (186, 40, 452, 480)
"""Left, top, right, bottom of the opening in the wall, in pixels of the clip."""
ASIDE_S = 1.0
"""How long a visitor takes to come into view from behind the wall, before walking up."""

Image = NDArray[np.uint8]
Layer = NDArray[np.float32]
Polygon = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Cutout:
    """What `visitors/outlines.json` says of a photograph, in that photograph's own pixels.

    The polygons are rough hints drawn by hand; GrabCut finds the edge between them.
    """

    name: str
    face_centre: tuple[float, float]
    face_px: float
    surely_person: tuple[Polygon, ...]
    surely_background: tuple[Polygon, ...]
    maybe_person: tuple[Polygon, ...]

    @property
    def photograph(self) -> Path:
        """The picture the person is cut out of."""
        return HERE / "visitors" / f"{self.name}.jpg"

    @property
    def mask(self) -> Path:
        """How much of each of its pixels is the person, 0 to 255."""
        return HERE / "visitors" / f"{self.name}-mask.png"


def read(picture: Path, mode: int = cv2.IMREAD_COLOR) -> Image:
    """Reads a picture that has to be there."""
    pixels = cv2.imread(str(picture), mode)
    if pixels is None:
        raise FileNotFoundError(f"{picture}: not there, or not a picture")
    return np.asarray(pixels, np.uint8)


def bgr(*channels: float) -> Layer:
    """A colour, to calculate with."""
    return np.array(channels, np.float32)


def soften(layer: Layer, sigma: float) -> Layer:
    """Blurs by `sigma` pixels."""
    return np.asarray(cv2.GaussianBlur(layer, (0, 0), sigma), np.float32)


def load_cutouts() -> dict[str, Cutout]:
    """Reads the outlines, by the name of their photograph."""
    text = (HERE / "visitors" / "outlines.json").read_text()
    return {name: Cutout(name=name, **hints) for name, hints in json.loads(text).items()}


@dataclass(frozen=True)
class Visit:
    """Somebody comes, stands and goes. Times in seconds from the start of the clip."""

    who: str
    photograph: str
    start_s: float
    walk_up_s: float
    stand_s: float
    leave_s: float
    far_px: float
    near_px: float
    comes_from: int
    goes_to: int

    @property
    def end_s(self) -> float:
        """When the porch is empty again."""
        return self.start_s + self.walk_up_s + self.stand_s + self.leave_s


VISITS = (
    Visit(
        "Barack Obama", "barack-obama", 3.0, 4.0, 4.0, 1.5, 46.0, 150.0, comes_from=-1, goes_to=1
    ),
    Visit("stranger", "eileen-collins", 17.0, 4.0, 5.0, 1.5, 40.0, 126.0, comes_from=1, goes_to=-1),
)
DURATION_S = 29.5


# --- cutting people out ------------------------------------------------------------


def cut_out(cutout: Cutout) -> Image:
    """Finds the person with GrabCut and returns a feathered mask, uint8 (H, W)."""
    image = read(cutout.photograph)
    label = np.full(image.shape[:2], cv2.GC_BGD, np.uint8)
    for polygons, meaning in (
        (cutout.maybe_person, cv2.GC_PR_FGD),
        (cutout.surely_person, cv2.GC_FGD),
        (cutout.surely_background, cv2.GC_BGD),
    ):
        for polygon in polygons:
            cv2.fillPoly(label, [np.array(polygon, np.int32)], meaning)
    cv2.setRNGSeed(1)
    inside, outside = np.zeros((1, 65)), np.zeros((1, 65))
    unused = (0, 0, 1, 1)
    cv2.grabCut(image, label, unused, inside, outside, 6, cv2.GC_INIT_WITH_MASK)
    person = _largest_blob(np.isin(label, (cv2.GC_FGD, cv2.GC_PR_FGD)))
    background = ~person
    count, blobs, stats, _ = cv2.connectedComponentsWithStats(background.astype(np.uint8))
    for index in range(1, count):
        if stats[index, cv2.CC_STAT_AREA] < 2000:  # a hole, such as a white shirt collar
            person[blobs == index] = True
    solid = cv2.medianBlur(person.astype(np.uint8) * 255, 7)
    # One pixel in: the outermost ring is already mixed with the old background.
    solid = cv2.erode(solid, np.ones((3, 3), np.uint8))
    return np.asarray(cv2.GaussianBlur(solid, (0, 0), 1.4), np.uint8)


def _largest_blob(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    _, blobs, stats, _ = cv2.connectedComponentsWithStats(pixels.astype(np.uint8))
    return np.asarray(blobs == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])))


def load_person(cutout: Cutout) -> Layer:
    """The photograph with its mask as alpha: float32 (H, W, 4), colours BGR 0..255, alpha 0..1."""
    colour = read(cutout.photograph).astype(np.float32)
    alpha = read(cutout.mask, cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
    return np.dstack([colour, alpha]).astype(np.float32)


# --- the porch ---------------------------------------------------------------------


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], scale: float) -> Layer:
    """Clouds of about `scale` pixels, zero mean, standard deviation one."""
    small = max(2, round(shape[0] / scale)), max(2, round(shape[1] / scale))
    noise = cv2.resize(
        rng.normal(size=small).astype(np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC
    )
    return np.asarray((noise - noise.mean()) / noise.std(), np.float32)


def mottled(
    rng: np.random.Generator,
    colour: tuple[int, int, int],
    shape: tuple[int, int],
    scale: float,
    strength: float,
) -> Layer:
    """A BGR colour with clouds of `scale` pixels in it, float32 (H, W, 3)."""
    clouds = 1 + strength * smooth_noise(rng, shape, scale)
    return np.asarray(bgr(*colour) * clouds[..., None], np.float32)


def draw_garden(rng: np.random.Generator) -> Layer:
    """What is seen through the doorway: sky, trees, a hedge, lawn and a path. Out of focus."""
    rows = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None, None]
    picture: Layer = (1 - rows) * bgr(226, 208, 186) + rows * bgr(232, 226, 218)
    picture = np.repeat(picture, WIDTH, axis=1)
    xs = np.arange(WIDTH)
    for base, colour, rough in (
        (150, (120, 138, 118), 16.0),
        (185, (74, 102, 80), 9.0),
        (222, (44, 74, 52), 2.5),
    ):
        skyline = base + rough * smooth_noise(rng, (1, WIDTH), 34)[0]
        covered = np.arange(HEIGHT)[:, None] > skyline[None, :]
        leaves = 1 + 0.16 * smooth_noise(rng, (HEIGHT, WIDTH), 7)[..., None]
        picture[covered] = (bgr(*colour) * leaves)[covered]
    lawn = np.arange(HEIGHT)[:, None].repeat(WIDTH, 1) > 268
    grass = bgr(70, 128, 104) * (1 + 0.10 * smooth_noise(rng, (HEIGHT, WIDTH), 5))[..., None]
    picture[lawn] = grass[lawn]
    # The path runs to a vanishing point at eye level.
    centre, vanish = 319, EYE_LEVEL_Y + 30
    spread = np.clip((np.arange(HEIGHT)[:, None] - vanish) * 0.5, 0, None)
    path = lawn & (np.abs(xs[None, :] - centre) < spread)
    stone = bgr(176, 186, 192) * (1 + 0.05 * smooth_noise(rng, (HEIGHT, WIDTH), 9))[..., None]
    picture[path] = stone[path]
    return soften(picture, 2.2)


def draw_bricks(rng: np.random.Generator) -> Layer:
    """A brick wall, float32 (H, W, 3)."""
    up = 2  # drawn twice as large, so that mortar lines come out soft
    height, width = HEIGHT * up, WIDTH * up
    brick_h, brick_w, mortar = 30, 92, 3
    wall: Layer = np.empty((height, width, 3), np.float32)
    wall[:] = (150, 160, 168)
    for row, top in enumerate(range(0, height, brick_h)):
        for left in range(-(row % 2) * brick_w // 2, width, brick_w):
            tint = bgr(84, 104, 152) * (1 + 0.09 * rng.normal()) + rng.normal(0, 4, 3)
            y1, x0, x1 = top + brick_h - mortar, max(left, 0), left + brick_w - mortar
            wall[top:y1, x0:x1] = tint
    wall *= 1 + 0.05 * smooth_noise(rng, (height, width), 4)[..., None]
    wall *= 1 + 0.05 * smooth_noise(rng, (height, width), 160)[..., None]
    halved = cv2.resize(soften(wall, 1.5), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(halved, np.float32)


def draw_wall(rng: np.random.Generator) -> Layer:
    """The wall with frame, lamp and bell: float32 (H, W, 4), alpha 0 in the doorway."""
    wall = draw_bricks(rng)
    left, top, right, bottom = DOORWAY
    frame, timber = 20, bgr(196, 206, 212)
    for x0, y0, x1, y1 in (
        (left - frame, top - frame, right + frame, top),
        (left - frame, top - frame, left, bottom),
        (right, top - frame, right + frame, bottom),
    ):
        grain = 1 + 0.03 * smooth_noise(rng, (y1 - y0, x1 - x0), 6)[..., None]
        wall[y0:y1, x0:x1] = timber * grain
        cv2.rectangle(wall, (x0, y0), (x1 - 1, y1 - 1), (140, 148, 154), 1, cv2.LINE_AA)
    fittings = np.clip(wall, 0, 255).astype(np.uint8)  # OpenCV smooths lines only in 8 bits
    _draw_lamp(fittings, (553, 118))
    _draw_bell(fittings, (516, 262))
    wall = fittings.astype(np.float32)

    alpha: Layer = np.ones((HEIGHT, WIDTH), np.float32)
    alpha[top:bottom, left:right] = 0
    # The reveal: the wall's thickness, seen inside the opening, darker on the lamp's far side.
    for offset in range(7):
        wall[top:bottom, left + offset] = timber * (0.62 + 0.02 * offset)
        wall[top:bottom, right - 1 - offset] = timber * (0.74 + 0.02 * offset)
        wall[top + offset, left:right] = timber * 0.58
        alpha[top:bottom, left + offset] = alpha[top:bottom, right - 1 - offset] = 1
        alpha[top + offset, left:right] = 1
    alpha = soften(alpha, 0.8)
    ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    glow = np.exp(-((xs - 553) ** 2 + (ys - 130) ** 2) / (2 * 125.0**2))
    wall *= (0.70 + 0.55 * glow)[..., None] * bgr(0.94, 1.0, 1.05)
    return np.dstack([np.clip(wall, 0, 255), alpha]).astype(np.float32)


def _draw_lamp(wall: Image, at: tuple[int, int]) -> None:
    x, y = at
    cv2.rectangle(wall, (x - 5, y - 40), (x + 5, y - 24), (46, 48, 52), -1, cv2.LINE_AA)
    roof = np.array([(x - 22, y - 16), (x + 22, y - 16), (x + 10, y - 30), (x - 10, y - 30)])
    cv2.fillConvexPoly(wall, roof.astype(np.int32), (42, 44, 48), cv2.LINE_AA)
    glass = np.array([(x - 17, y - 15), (x + 17, y - 15), (x + 12, y + 28), (x - 12, y + 28)])
    cv2.fillConvexPoly(wall, glass.astype(np.int32), (190, 228, 250), cv2.LINE_AA)
    cv2.ellipse(wall, (x, y + 4), (7, 13), 0, 0, 360, (240, 252, 255), -1, cv2.LINE_AA)
    cv2.polylines(wall, [glass.astype(np.int32)], True, (42, 44, 48), 2, cv2.LINE_AA)
    cv2.line(wall, (x, y - 15), (x, y + 28), (60, 64, 70), 1, cv2.LINE_AA)
    cv2.rectangle(wall, (x - 14, y + 28), (x + 14, y + 33), (42, 44, 48), -1, cv2.LINE_AA)


def _draw_bell(wall: Image, at: tuple[int, int]) -> None:
    x, y = at
    cv2.rectangle(wall, (x - 10, y - 16), (x + 10, y + 16), (150, 158, 160), -1, cv2.LINE_AA)
    cv2.rectangle(wall, (x - 10, y - 16), (x + 10, y + 16), (96, 100, 104), 1, cv2.LINE_AA)
    cv2.circle(wall, (x, y + 3), 6, (88, 92, 96), -1, cv2.LINE_AA)
    cv2.circle(wall, (x, y + 3), 4, (210, 214, 218), -1, cv2.LINE_AA)


def draw_planter(rng: np.random.Generator) -> Layer:
    """A box of leaves close to the lens. It hides where the photographs end: float32 (H, W, 4)."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    picture[:] = (40, 66, 46)
    alpha = np.zeros((HEIGHT, WIDTH), np.float32)
    for _ in range(760):
        x, depth = int(rng.uniform(-20, WIDTH + 20)), rng.uniform()
        y = int(364 + 66 * depth + 7 * math.sin(x / 37) + 5 * math.sin(x / 13))
        size = (int(rng.uniform(12, 20)), int(rng.uniform(4, 8)))
        shade = rng.uniform(0.55, 1.25) * (0.75 + 0.5 * (1 - depth))
        colour = tuple(float(c) * shade for c in (52, 104, 70))
        angle = float(rng.uniform(20, 160))
        cv2.ellipse(picture, (x, y), size, angle, 0, 360, colour, -1, cv2.LINE_AA)
        cv2.ellipse(alpha, (x, y), size, angle, 0, 360, 1.0, -1, cv2.LINE_AA)
    alpha[388:] = 1
    board = bgr(70, 92, 120) * np.linspace(1.1, 0.7, HEIGHT - 436)[:, None, None]
    grain = 1 + 0.06 * smooth_noise(rng, (HEIGHT - 436, WIDTH), 5)[..., None]
    picture[436:] = board * grain
    picture[436:440] *= 1.25
    layer = np.dstack([picture * 0.9, alpha]).astype(np.float32)
    return soften(layer, 2.4)


def blend(below: Layer, above: Layer) -> Layer:
    """Lays `above` (H, W, 4) over `below` (H, W, 3)."""
    alpha = above[..., 3:]
    return np.asarray(below * (1 - alpha) + above[..., :3] * alpha, np.float32)


# --- the visitors ------------------------------------------------------------------


def ease(t: float) -> float:
    """Starts and stops softly: 0..1 to 0..1."""
    t = min(max(t, 0.0), 1.0)
    return t * t * (3 - 2 * t)


def pose(visit: Visit, now_s: float) -> tuple[float, float, float, float]:
    """Where the face is: centre x, centre y, width (all pixels) and roll (degrees)."""
    t = now_s - visit.start_s
    walking = ease((t - ASIDE_S) / (visit.walk_up_s - ASIDE_S))
    # Somebody who walks at an even pace grows like 1/distance.
    nearness = 1 / visit.far_px + (1 / visit.near_px - 1 / visit.far_px) * walking
    face_px = 1 / nearness
    x = (
        319
        + visit.comes_from * (1 - ease(t / (1.2 * ASIDE_S))) * 190
        - visit.comes_from * 14 * walking
    )
    leaving = t - visit.walk_up_s - visit.stand_s
    pace = 1.0 if t < visit.walk_up_s or leaving > 0 else 0.0
    if leaving > 0:
        x += visit.goes_to * 560 * (leaving / visit.leave_s) ** 1.7
        face_px *= 1 + 0.05 * leaving
    x += face_px * (0.050 * math.sin(2 * math.pi * 0.31 * now_s) + 0.018 * math.sin(5.1 * now_s))
    y = EYE_LEVEL_Y + face_px * (0.022 * math.sin(2 * math.pi * 0.23 * now_s + 1))
    y += pace * face_px * 0.030 * abs(math.sin(2 * math.pi * 0.95 * now_s))
    roll = 1.5 * math.sin(2 * math.pi * 0.27 * now_s) - visit.goes_to * 3.0 * max(leaving, 0)
    return x, y, face_px, roll


def place(person: Layer, cutout: Cutout, visit: Visit, now_s: float) -> Layer:
    """Scales, turns and moves a cut-out to its pose and gives it the porch's light: (H, W, 4)."""
    x, y, face_px, roll = pose(visit, now_s)
    scale = face_px / cutout.face_px
    if scale < 1:  # average first: a plain warp would alias
        small = cv2.resize(person, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        person = np.asarray(small, np.float32)
        centre, scale = tuple(scale * c for c in cutout.face_centre), 1.0
    else:
        centre = cutout.face_centre
    turn = cv2.getRotationMatrix2D((centre[0], centre[1]), roll, scale)
    turn[:, 2] += np.array([x - centre[0], y - centre[1]])
    premultiplied = person.copy()
    premultiplied[..., :3] *= premultiplied[..., 3:]
    warped = cv2.warpAffine(premultiplied, turn, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
    placed = np.asarray(warped, np.float32)
    placed[..., :3] /= np.maximum(placed[..., 3:], 1e-3)
    placed[..., 3] = np.clip(placed[..., 3], 0, 1)
    ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    lamp = 0.90 + 0.14 * np.clip((xs - x) / (3 * face_px) + 0.5, 0, 1)
    below = 1 - 0.22 * np.clip((ys - y) / (3.2 * face_px), 0, 1)
    placed[..., :3] *= (lamp * below)[..., None] * bgr(0.95, 0.99, 1.02)
    return np.asarray(np.clip(placed, 0, 255), np.float32)


# --- the clip ----------------------------------------------------------------------


def frames(times_s: list[float]) -> Iterator[Image]:
    """Renders the clip at the given times, uint8 (480, 640, 3) BGR."""
    rng = np.random.default_rng(7)
    garden, wall, planter = draw_garden(rng), draw_wall(rng), draw_planter(rng)
    cutouts = load_cutouts()
    people = {name: load_person(cutout) for name, cutout in cutouts.items()}
    ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    radius = ((xs - WIDTH / 2) / WIDTH) ** 2 + ((ys - HEIGHT / 2) / HEIGHT) ** 2
    vignette = (1 - 0.42 * radius)[..., None]
    for now_s in times_s:
        picture = garden * (1 + 0.03 * math.sin(2 * math.pi * now_s / 11))  # clouds pass
        visitor = next((v for v in VISITS if v.start_s <= now_s < v.end_s), None)
        layers: list[Layer] = [wall]
        if visitor is not None:
            name = visitor.photograph
            placed = place(people[name], cutouts[name], visitor, now_s)
            outside = pose(visitor, now_s)[2] < 1.1 * visitor.far_px
            layers.insert(0 if outside else 1, placed)
        for layer in (*layers, planter):
            picture = blend(picture, layer)
        flicker = 1 + 0.006 * math.sin(2 * math.pi * 1.3 * now_s) + 0.012 * math.sin(now_s / 3)
        noise = np.random.default_rng(round(now_s * 1000)).normal(0, 1.6, picture.shape[:2])
        lit = picture * vignette * flicker + noise[..., None]
        yield np.clip(lit, 0, 255).astype(np.uint8)


def segments() -> list[dict[str, Any]]:
    """Who is in the picture from when to when; `person` is None for an empty porch."""
    table: list[dict[str, Any]] = []
    now_s = 0.0
    for visit in VISITS:
        table.append({"start": now_s, "end": visit.start_s, "person": None})
        table.append({"start": visit.start_s, "end": visit.end_s, "person": visit.who})
        now_s = visit.end_s
    table.append({"start": now_s, "end": DURATION_S, "person": None})
    return table


def encode(target: Path) -> None:
    """Writes the clip as H.264 in MP4, a keyframe a second so that players can seek."""
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24"]
    command += ["-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS), "-i", "-", "-an", "-c:v", "libx264"]
    command += ["-preset", "slow", "-crf", "24", "-g", str(FPS), "-pix_fmt", "yuv420p"]
    command += ["-movflags", "+faststart", str(target)]
    times = [index / FPS for index in range(round(DURATION_S * FPS))]
    pixels = b"".join(frame.tobytes() for frame in frames(times))  # 330 MB, and no pipe to mind
    subprocess.run(command, input=pixels, check=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=HERE / "porch.mp4", help="the clip to write")
    parser.add_argument("--recut", action="store_true", help="make the visitors' masks again")
    parser.add_argument(
        "--stills",
        type=float,
        nargs="+",
        metavar="S",
        help="write single frames as PNG instead",
    )
    arguments = parser.parse_args()
    if arguments.recut:
        for cutout in load_cutouts().values():
            cv2.imwrite(str(cutout.mask), cut_out(cutout))
    if arguments.stills:
        for at_s, frame in zip(arguments.stills, frames(arguments.stills), strict=True):
            cv2.imwrite(str(arguments.out.with_name(f"porch-{at_s:05.2f}.png")), frame)
        return
    encode(arguments.out)
    table = {"fps": FPS, "segments": segments()}
    arguments.out.with_suffix(".json").write_text(json.dumps(table, indent=2) + "\n")
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.2f} MB, {DURATION_S} s")


if __name__ == "__main__":
    main()
