"""The command `lockd evaluate pad`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from lockd.commands.evaluate_outputs import check_outputs, plot_path, progress
from lockd.config import Settings, find, load
from lockd.console import config_option, counted, err, print_table, reported
from lockd.errors import ImageError

if TYPE_CHECKING:
    from lockd.evaluation.visits import Camera, Visits
    from lockd.identity.liveness import Bounds

_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_SHARE = click.FloatRange(0, 1)


@click.command()
@click.argument("folder", metavar="DIR", type=_FOLDER)
@config_option
@click.option(
    "--enrol",
    type=click.IntRange(1),
    metavar="N",
    help="Enrol the people of the live clips with N frames of each, and say who gets in.",
)
@click.option(
    "--calibrate",
    "calibrating",
    type=_FOLDER,
    metavar="DIR",
    help="Live clips that the door learnt from [one half of DIR's people, for the other half].",
)
@click.option(
    "--fps",
    type=click.FloatRange(1, 120),
    default=4.0,
    show_default=True,
    help="Frames a second: of folders of pictures; of videos, at most.",
)
@click.option(
    "--open-above",
    type=_SHARE,
    default=0.75,
    show_default=True,
    help="Graded: opens unasked to what scores as high as so many of the live.",
)
@click.option(
    "--refuse-below",
    type=_SHARE,
    default=0.02,
    show_default=True,
    help="Refused: what scores lower than all but so many of the live.",
)
@click.option(
    "--least-frames",
    type=click.IntRange(1, 50),
    default=3,
    show_default=True,
    help="Judged frames that a decision takes.",
)
@click.option("--json", "json_file", type=_FILE, help="Write everything for machines.")
@click.option("--csv", "csv_file", type=_FILE, help="Write the curves.")
@click.option("--plot", type=_FILE, callback=plot_path, help="Draw them: PNG, SVG or PDF.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all chance.")
@click.option(
    "--resamples",
    type=click.IntRange(20, 100_000),
    default=400,
    show_default=True,
    help="For the intervals.",
)
@reported
def pad(
    folder: Path,
    config_file: Path | None,
    enrol: int | None,
    calibrating: Path | None,
    fps: float,
    open_above: float,
    refuse_below: float,
    least_frames: int,
    json_file: Path | None,
    csv_file: Path | None,
    plot: Path | None,
    seed: int,
    resamples: int,
) -> None:
    """Do photographs and videos of people pass for them? APCER, BPCER, IAPMR.

    DIR has the folders live and attack_TYPE, with clips: folders of pictures, or videos.
    """
    from lockd.evaluation import clips, plots, presentation, report, visits  # noqa: PLC0415
    from lockd.evaluation.pad_report import presentation as report_of  # noqa: PLC0415
    from lockd.evaluation.protocols import Resampling  # noqa: PLC0415

    check_outputs(json_file, csv_file, plot)
    if plot is not None:
        plots.check()
    settings = load(find(config_file))
    bounds = _bounds(open_above, refuse_below)
    found = clips.clips_in(folder)
    learnt = clips.live_clips_in(calibrating) if calibrating else None
    camera = _camera(settings, fps, least_frames)
    with progress("enrolling", len({one.person for one in found})) as step:
        enrolled = visits.enrol(found, camera, enrol or 0, lambda: step(1))
    with progress("watching", len(found) + len(learnt or ())) as step:
        seen = visits.watch(found, camera, enrolled.templates, lambda: step(1))
        known = visits.watch(learnt, camera, (), lambda: step(1)) if learnt is not None else None
    measured = presentation.measure(
        seen.visits,
        None if known is None else known.visits,
        bounds,
        least_frames,
        None if enrol is None else enrolled.clips,
        Resampling(resamples, seed),
    )
    told = report_of(measured, bounds)
    told.data.update(_how(camera, enrol, enrolled.without, seen, known, seed, resamples))
    print_table(told.table)
    click.echo(_summary(camera, seen, measured.calibrated_on, measured.from_halves))
    click.echo(told.sentence)
    if json_file is not None:
        report.write_json(told, json_file)
    if csv_file is not None:
        report.write_csv(told, csv_file)
    if plot is not None:
        plots.presentation(plot, measured.curves)
    _end([one for one in (seen, known) if one is not None], enrolled.without)


def _bounds(above: float, below: float) -> Bounds:
    """What the door goes by.

    Raises:
        click.BadParameter: if what opens would score lower than what is refused.
    """
    from lockd.identity.liveness import Bounds  # noqa: PLC0415

    bounds = Bounds(above, below)
    if bounds.refuse_below > bounds.open_above:
        raise click.BadParameter(
            f"{bounds.refuse_below:g} lies above {bounds.open_above:g}; what opens must score "
            "higher than what is refused",
            param_hint="--refuse-below",
        )
    return bounds


def _camera(settings: Settings, fps: float, least_frames: int) -> Camera:
    from lockd.evaluation.visits import Camera  # noqa: PLC0415
    from lockd.recognition.recogniser import Vision  # noqa: PLC0415
    from lockd.vision.liveness import Liveness  # noqa: PLC0415

    vision = Vision(settings)
    liveness = Liveness(vision.models, threads=settings.recognition.threads)
    return Camera(settings, vision, liveness, fps, least_frames)


def _summary(camera: Camera, seen: Visits, calibrated_on: float, halves: bool) -> str:
    scored = [one for one in seen.visits if len(one.scores)]
    frames = sum(len(one.scores) for one in scored)
    where = "people of the other half, in turns" if halves else "--calibrate"
    return (
        f"{counted(len(seen.visits), 'visit')}, {len(seen.visits) - len(scored)} without a judged "
        f"frame, {counted(frames, 'judged frame')}; compared with {calibrated_on:g} live visits "
        f"of {where}; networks {', '.join(camera.liveness.names)} "
        f"{camera.liveness.fingerprint[:12]}"
    )


def _how(
    camera: Camera,
    enrol: int | None,
    without: list[str],
    seen: Visits,
    known: Visits | None,
    seed: int,
    resamples: int,
) -> dict[str, Any]:
    both = [one for one in (seen, known) if one is not None]
    return {
        "judged_frames": sum(len(one.scores) for one in seen.visits),
        "without_a_judged_frame": sorted(
            one.clip.name for one in seen.visits if not len(one.scores)
        ),
        "unknown_person": sorted(one.clip.name for one in seen.visits if one.clip.person is None),
        "unreadable": {name: why for one in both for name, why in one.unreadable.items()},
        "enrolled_frames": enrol,
        "not_enrolled": without,
        "fps": camera.fps,
        "least_frames": camera.least_frames,
        "seed": seed,
        "resamples": resamples,
        "networks": {
            "liveness": list(camera.liveness.names),
            "fingerprint": camera.liveness.fingerprint,
            "profile": camera.settings.recognition.profile,
            "runtime": camera.vision.models.runtime_name,
        },
    }


def _end(watched: list[Visits], without: list[str]) -> None:
    """Tell of what could not be used; end with the exit code of clips that are none."""
    for name in without:
        err.print(escape(f"{name}: not enrolled; no frame is fit for it"), style="yellow")
    unreadable = {name: why for one in watched for name, why in one.unreadable.items()}
    for name, why in unreadable.items():
        err.print(escape(f"{name}: left out: {why}"), style="yellow")
    if unreadable:
        raise SystemExit(ImageError.exit_code)
