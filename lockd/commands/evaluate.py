"""The command `lockd evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import platformdirs
from rich.markup import escape

from lockd.commands.evaluate_outputs import check_outputs, plot_path, progress
from lockd.commands.evaluate_pad import pad
from lockd.commands.options import tell_passed_over
from lockd.config import Settings, find, load
from lockd.console import Group, config_option, counted, err, print_table, reported
from lockd.errors import ImageError

if TYPE_CHECKING:
    from lockd.evaluation.embeddings import Collection, Listed
    from lockd.evaluation.protocols import Resampling
    from lockd.evaluation.report import Report
    from lockd.evaluation.rules import Rule
    from lockd.recognition.recogniser import Vision

_CLASSIFIERS = ("nearest", "centroid", "svm", "softmax")


@click.group(cls=Group)
def evaluate() -> None:
    """Measure how well people are recognised, on a folder of photographs.

    DIR has one sub-folder of photographs per person. Of several faces the most central
    of the large ones counts. Rates come with 95 % intervals; docs/evaluation.md says
    what everything means.
    """


@dataclass(frozen=True)
class Options:
    """What every evaluation can be asked."""

    folder: Path
    config_file: Path | None
    profile: str | None
    quality: bool
    cache: Path | None
    no_cache: bool
    json: Path | None
    csv: Path | None
    plot: Path | None
    seed: int
    resamples: int


def _common(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that all have; it takes them as `Options`."""
    file = click.Path(path_type=Path, dir_okay=False)
    decorators = [
        click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False)),
        config_option,
        click.option(
            "--profile",
            type=click.Choice(["accurate", "light", "facenet"]),
            help="Of the networks [the configuration's].",
        ),
        click.option("--quality", is_flag=True, help="Judge only faces that the door would judge."),
        click.option(
            "--cache",
            type=click.Path(path_type=Path, file_okay=False),
            help="Keep embeddings here [the user's cache folder]. They are biometric data.",
        ),
        click.option("--no-cache", is_flag=True, help="Keep no embeddings between runs."),
        click.option("--json", type=file, help="Write everything for machines."),
        click.option("--csv", type=file, help="Write the curve, or the draws."),
        click.option("--plot", type=file, callback=plot_path, help="Draw it: PNG, SVG or PDF."),
        click.option(
            "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all chance."
        ),
        click.option(
            "--resamples",
            type=click.IntRange(20, 100_000),
            default=400,
            show_default=True,
            help="For the intervals.",
        ),
    ]

    def with_options(**values: Any) -> None:
        own = {name: values.pop(name) for name in Options.__dataclass_fields__}
        command(Options(**own), **values)

    with_options.__name__, with_options.__doc__ = command.__name__, command.__doc__
    # What click's decorators left on the command itself goes on.
    with_options.__dict__.update(command.__dict__)
    decorated: Callable[..., None] = reported(with_options)
    for decorator in reversed(decorators):
        decorated = decorator(decorated)
    return decorated


def _split_options(command: Callable[..., None]) -> Callable[..., None]:
    decorators = [
        click.option(
            "--enrolled",
            type=click.IntRange(1),
            default=1,
            show_default=True,
            help="Photographs enrolled of each.",
        ),
        click.option(
            "--draws", type=click.IntRange(1), default=100, show_default=True, help="How often."
        ),
        click.option(
            "--classifier",
            "classifiers",
            multiple=True,
            type=click.Choice(_CLASSIFIERS),
            help="Compare with a closed-set classifier on the same split; repeatable.",
        ),
    ]
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


@evaluate.command()
@_common
@click.option(
    "--pairs",
    "pairs_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="LFW's pairs.txt, or CSV: a header, then two paths in DIR and 1 or 0 [all pairs].",
)
def verification(options: Options, pairs_file: Path | None) -> None:
    """Do two photographs show one person? Accuracy, EER, and TAR at small FAR."""
    from lockd.evaluation import pairs, plots, report  # noqa: PLC0415
    from lockd.evaluation import verification as protocol  # noqa: PLC0415

    given: list[pairs.Pair] = []
    if pairs_file is None:
        run = Run.of_folder(options)
    else:
        given, photographs = pairs.read(pairs_file, options.folder)
        run = Run.of(options, photographs)
    with progress("resampling", options.resamples) as step:
        if pairs_file is None:
            found = protocol.verify_all(run.faces, run.accept, run.resampling(step))
        else:
            found = protocol.verify_pairs(run.faces, given, run.accept, run.resampling(step))
    compared = found.genuine_pairs + found.impostor_pairs
    skipped = len(given) - compared if pairs_file else 0
    run.finish(report.verification(found, skipped))
    if options.plot is not None:
        plots.error_rates(
            options.plot,
            {"lockd": found.det},
            ("FAR", "FNMR"),
            found.histograms,
            ("one person", "two people"),
            run.accept,
        )
    run.end()


@evaluate.command()
@_common
@_split_options
@click.option(
    "--people",
    type=click.IntRange(2),
    multiple=True,
    required=True,
    help="How many are enrolled; repeatable.",
)
@click.option(
    "--probes",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Photographs asked about of each, at most.",
)
def identification(
    options: Options,
    people: tuple[int, ...],
    enrolled: int,
    probes: int,
    draws: int,
    classifiers: tuple[str, ...],
) -> None:
    """Which of the enrolled people is it, knowing that it is one of them?"""
    from lockd.evaluation import identification as protocol  # noqa: PLC0415
    from lockd.evaluation import plots, report  # noqa: PLC0415
    from lockd.evaluation.splits import SplitPlan  # noqa: PLC0415

    run = Run.of_folder(options)
    rules = run.rules(classifiers)
    found = []
    with progress("drawing", draws * len(people)) as step:
        for count in sorted(set(people)):
            plan = SplitPlan(count, enrolled, draws, options.seed, probes)
            found.append(protocol.identify(run.faces, plan, rules, run.resampling(), step))
    settings = {"enrolled": enrolled, "draws": draws}
    run.finish(report.identification(found), settings)
    if options.plot is not None:
        top1 = {rule: [one.top1[rule] for one in found] for rule in rules}
        plots.by_people(options.plot, [one.people for one in found], top1)
    run.end()


@evaluate.command("open-set")
@_common
@_split_options
@click.option(
    "--people", type=click.IntRange(1), required=True, help="How many people are enrolled."
)
@click.option("--strangers", type=click.IntRange(1), help="How many others come [everybody else].")
def open_set(
    options: Options,
    people: int,
    enrolled: int,
    strangers: int | None,
    draws: int,
    classifiers: tuple[str, ...],
) -> None:
    """Who is it, if it is anybody? What the owner of a door feels."""
    from lockd.evaluation import identification as protocol  # noqa: PLC0415
    from lockd.evaluation import plots, report  # noqa: PLC0415
    from lockd.evaluation.splits import SplitPlan  # noqa: PLC0415

    run = Run.of_folder(options)
    plan = SplitPlan(people, enrolled, draws, options.seed, strangers=strangers)
    rules = run.rules(classifiers)
    with progress("drawing", draws) as step:
        found = protocol.open_set(run.faces, plan, rules, run.resampling(), step)
    settings = {"people_enrolled": people, "enrolled": enrolled, "draws": draws}
    run.finish(report.open_set(found, run.accept, run.margin), settings)
    if options.plot is not None:
        plots.error_rates(
            options.plot,
            {name: one.det for name, one in found.rules.items()},
            ("FPIR", "FNIR"),
            found.rules[report.DOOR].histograms,
            ("enrolled", "strangers"),
            run.accept,
        )
    run.end()


@dataclass(frozen=True)
class Run:
    """One run: the networks, and the faces of the folder."""

    options: Options
    settings: Settings
    vision: Vision
    faces: Collection
    passed_over: bool = False

    @classmethod
    def of_folder(cls, options: Options) -> Run:
        """Embed everybody's photographs, having told what is nobody's."""
        from lockd.evaluation.embeddings import listed  # noqa: PLC0415
        from lockd.recognition.photographs import people_in  # noqa: PLC0415

        people = people_in(options.folder)
        tell_passed_over(people)
        return replace(cls.of(options, listed(people)), passed_over=bool(people.passed_over))

    @classmethod
    def of(cls, options: Options, photographs: Sequence[Listed]) -> Run:
        """Embed photographs, having checked that what comes of it can be written."""
        from lockd.evaluation import plots  # noqa: PLC0415
        from lockd.recognition.recogniser import Vision  # noqa: PLC0415

        check_outputs(options.json, options.csv, options.plot)
        if options.plot is not None:
            plots.check()
        settings = load(find(options.config_file))
        if options.profile is not None:
            chosen = settings.recognition.model_copy(update={"profile": options.profile})
            settings = settings.model_copy(update={"recognition": chosen})
        vision = Vision(settings)
        return cls(options, settings, vision, _embedded(options, settings, vision, photographs))

    @property
    def accept(self) -> float:
        """The door's threshold."""
        return self.settings.recognition.threshold(self.vision.embedder.accept)

    @property
    def margin(self) -> float:
        """The door's margin."""
        return self.settings.recognition.margin

    def resampling(self, step: Callable[[int], None] | None = None) -> Resampling:
        """How intervals are made, and who is told of each resample."""
        from lockd.evaluation.protocols import Resampling, nothing  # noqa: PLC0415

        return Resampling(self.options.resamples, self.options.seed, step or nothing)

    def rules(self, classifiers: Sequence[str]) -> dict[str, Rule]:
        """Return the door's rule, and those it is compared with, by name."""
        from lockd.evaluation.classifiers import CLASSIFIERS, check  # noqa: PLC0415
        from lockd.evaluation.report import DOOR  # noqa: PLC0415
        from lockd.evaluation.rules import door  # noqa: PLC0415

        for name in classifiers:
            check(name)
        others = {name: CLASSIFIERS[name] for name in dict.fromkeys(classifiers)}
        embedder = self.vision.embedder
        head = embedder.space.pieces[0].size if embedder.staged else None
        return {DOOR: door(self.accept, self.margin, head), **others}

    def finish(self, report: Report, settings: dict[str, Any] | None = None) -> None:
        """Print the report and write the files asked for."""
        from lockd.evaluation.report import about, write_csv, write_json  # noqa: PLC0415

        print_table(report.table)
        click.echo(self._summary())
        click.echo(report.sentence)
        report.data.update(about(self.faces))
        report.data.update(settings or {})
        report.data.update(self._how())
        if self.options.json is not None:
            write_json(report, self.options.json)
        if self.options.csv is not None:
            write_csv(report, self.options.csv)

    def end(self) -> None:
        """List what was left out; end with the exit code of photographs that are none."""
        from lockd.evaluation.embeddings import UNREADABLE  # noqa: PLC0415
        from lockd.evaluation.report import left_out  # noqa: PLC0415

        for line in left_out(self.faces):
            err.print(escape(line), style="yellow")
        if self.passed_over or self.faces.left_out.get(UNREADABLE):
            raise SystemExit(ImageError.exit_code)

    def _summary(self) -> str:
        faces = self.faces
        people = counted(len(faces.people), "person", "people")
        return (
            f"{counted(faces.images, 'photograph')} of {people}, "
            f"{len(faces.without_face)} without a face; {self.settings.recognition.profile} "
            f"networks {self.vision.embedder.fingerprint[:12]}"
        )

    def _how(self) -> dict[str, Any]:
        return {
            "quality": self.options.quality,
            "seed": self.options.seed,
            "resamples": self.options.resamples,
            "networks": {
                "profile": self.settings.recognition.profile,
                "fingerprint": self.vision.embedder.fingerprint,
                "runtime": self.vision.models.runtime_name,
                "search_face_px": self.vision.detector.min_face_px,
            },
        }


def _embedded(
    options: Options, settings: Settings, vision: Vision, photographs: Sequence[Listed]
) -> Collection:
    from lockd.evaluation.cache import Cache  # noqa: PLC0415
    from lockd.evaluation.embeddings import collect, recipe  # noqa: PLC0415

    folder = None if options.no_cache else options.cache or platformdirs.user_cache_path("lockd")
    limits = settings.quality.limits() if options.quality else None
    cache = Cache(folder, recipe(vision, limits), vision.embedder.size)
    if cache.damaged:
        err.print(f"[yellow]{escape(str(cache.path))}: damaged; embedding everything anew[/]")
    with progress("embedding", len(photographs)) as step:
        return collect(
            photographs, options.folder, vision, cache, limits=limits, step=lambda: step(1)
        )


evaluate.add_command(pad)
