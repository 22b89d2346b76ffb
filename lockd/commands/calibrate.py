"""The command `lockd calibrate`."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import platformdirs
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from lockd.commands.options import tell_passed_over
from lockd.config import Settings, find, load
from lockd.console import config_option, counted, err, print_table, printable, reported
from lockd.errors import ConfigError, ImageError, PersonError
from lockd.files import acting_for

if TYPE_CHECKING:
    from lockd.evaluation.calibration import Alike, Enrolled, Gauge, Suggestion
    from lockd.evaluation.embeddings import Collection
    from lockd.evaluation.metrics import Ints
    from lockd.recognition.recogniser import Vision
    from lockd.types import Floats

_NAMED = 10  # pairs of people named in full
_BARS = "▁▂▃▄▅▆▇█"


@click.command()
@click.option(
    "--gallery",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Use a folder with one sub-folder of photographs per person instead of the store.",
)
@click.option(
    "--strangers",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Photographs of people who are not enrolled; the more, the better.",
)
@config_option
@click.option(
    "--profile",
    type=click.Choice(["accurate", "light", "facenet"]),
    help="Of the networks [the configuration's].",
)
@click.option(
    "--fpir",
    type=click.FloatRange(1e-9, 0.5),
    default=1e-3,
    show_default=True,
    help="Part of strangers' visits that may be taken for somebody.",
)
@click.option(
    "--frames",
    type=click.IntRange(1, 10_000),
    help="Frames judged in a visit [recognition.stranger_frames].",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--write", is_flag=True, help="Write the threshold into the configuration file.")
@reported
def calibrate(
    gallery: Path | None,
    strangers: Path | None,
    config_file: Path | None,
    profile: str | None,
    fpir: float,
    frames: int | None,
    json_file: Path | None,
    write: bool,
) -> None:
    """Say how alike the enrolled people are, and suggest a threshold for them.

    Changes nothing unless told to --write, and then never loosens the door while two
    enrolled people can be taken for each other.
    """
    from lockd.evaluation.calibration import gauge, suggest, wanted_fmr  # noqa: PLC0415
    from lockd.evaluation.reference import operating_points  # noqa: PLC0415
    from lockd.recognition.recogniser import Vision  # noqa: PLC0415

    path = find(config_file)
    settings = load(path)
    if profile is not None:
        chosen = settings.recognition.model_copy(update={"profile": profile})
        settings = settings.model_copy(update={"recognition": chosen})
    vision = Vision(settings)
    configured = settings.recognition.threshold(vision.embedder.accept)
    enrolled = _from_folder(gallery, settings, vision) if gallery else _from_store(settings, vision)
    faces = _strangers(strangers, settings, vision) if strangers else None
    gauged = gauge(enrolled, faces.embeddings if faces else None)
    let_in = _let_in(gauged, faces, configured) if faces else []
    frames = frames or settings.recognition.stranger_frames
    fmr = wanted_fmr(fpir, gauged.templates, frames)
    table = operating_points(vision.models.manifest, settings.recognition.profile)
    suggestion = suggest(gauged, fmr, table)
    confusable = [] if suggestion.accept is None else gauged.alike(suggestion.accept)
    _print_gallery(gauged)
    for one in let_in[:_NAMED]:
        click.echo(
            f"A stranger who would be let in: {one['photograph']}, {one['similarity']:.3f} to "
            f"{one['person']}; if it is them, take the photograph away and calibrate again"
        )
    _print_suggestion(gauged, suggestion, confusable, configured, (fpir, frames, fmr))
    data = {
        **_gallery_data(gauged),
        "strangers": {"photographs": len(gauged.strangers), "let_in": let_in},
        "wanted": {"fpir": fpir, "frames": frames, "fmr": fmr},
        "suggested": _suggestion_data(gauged, suggestion, confusable),
        "configured": {"accept": configured},
        "written": False,
    }
    try:
        if write:
            _write(path, suggestion, confusable, configured)
            data["written"] = True
    finally:
        if json_file is not None:
            _write_json(data, json_file)


def _from_store(settings: Settings, vision: Vision) -> Enrolled:
    from lockd.adapters.store import opened  # noqa: PLC0415

    path = settings.store.path()
    if not path.exists():  # looking must not make a store
        raise PersonError(f"{path}: nobody is enrolled; run `lockd-enroll add`, or use --gallery")
    embedder = vision.embedder
    with opened(settings.store) as store:
        templates, unusable = store.gallery.usable(embedder.space)
    if unusable:
        other = counted(unusable, "template")
        err.print(f"[yellow]{other} of other networks left out[/]")
    if not templates:
        raise PersonError(f"{path}: nobody is enrolled with these networks; run `lockd-enroll add`")
    templates = sorted(templates, key=lambda one: one.person.name)
    names = [one.person.name for one in templates]
    labels = [
        f"template {number} of {len(own)}"
        for own in (list(group) for _, group in itertools.groupby(names))
        for number in range(1, len(own) + 1)
    ]
    return _enrolled(names, labels, [one.embedding for one in templates])


def _from_folder(folder: Path, settings: Settings, vision: Vision) -> Enrolled:
    """The templates of a folder, as enrolment would make them."""
    from lockd.recognition.photographs import people_in, template_of  # noqa: PLC0415

    people = people_in(folder)
    tell_passed_over(people)
    names: list[str] = []
    labels: list[str] = []
    embeddings: list[Floats] = []
    with Progress(console=err, transient=True) as bar:
        task = bar.add_task("enrolling", total=sum(map(len, people.photographs.values())))
        for name, paths in people.photographs.items():
            for path in paths:
                try:
                    embedding = template_of(path, vision, settings.quality.limits())
                except ImageError as error:
                    err.print(f"[yellow]refused:[/] {escape(printable(str(error)))}")
                else:
                    names.append(name)
                    labels.append(path.relative_to(folder).as_posix())
                    embeddings.append(embedding)
                bar.advance(task)
    if not names:
        raise ImageError(f"{folder}: not one photograph can be enrolled; the reasons are above")
    return _enrolled(names, labels, embeddings)


def _enrolled(names: list[str], labels: list[str], embeddings: Sequence[Floats]) -> Enrolled:
    import numpy as np  # noqa: PLC0415

    from lockd.evaluation.calibration import Enrolled  # noqa: PLC0415

    people = sorted(set(names))
    place = {name: index for index, name in enumerate(people)}
    owner = np.array([place[name] for name in names], np.int32)
    return Enrolled(people, owner, labels, np.stack(embeddings))


def _strangers(folder: Path, settings: Settings, vision: Vision) -> Collection:
    """The faces in a folder that the door would judge; remembered between runs."""
    from lockd.evaluation.cache import Cache  # noqa: PLC0415
    from lockd.evaluation.embeddings import collect, listed_strangers, recipe  # noqa: PLC0415
    from lockd.evaluation.report import left_out  # noqa: PLC0415

    limits = settings.quality.limits()
    where = platformdirs.user_cache_path("lockd")
    cache = Cache(where, recipe(vision, limits), vision.embedder.size)
    wanted, people = listed_strangers(folder)
    tell_passed_over(people)
    with Progress(console=err, transient=True) as bar:
        task = bar.add_task("embedding strangers", total=len(wanted))
        faces = collect(
            wanted, folder, vision, cache, limits=limits, step=lambda: bar.advance(task)
        )
    for line in left_out(faces):
        err.print(escape(line), style="yellow")
    return faces


def _let_in(gauged: Gauge, faces: Collection, threshold: float) -> list[dict[str, Any]]:
    """The strangers that a threshold takes for somebody, the most alike first."""
    import numpy as np  # noqa: PLC0415

    order = np.argsort(-gauged.strangers)[: int(np.sum(gauged.strangers >= threshold))]
    return [
        {
            "photograph": faces.paths[index],
            "person": gauged.people[gauged.strangers_nearest[index]],
            "similarity": float(gauged.strangers[index]),
        }
        for index in order
    ]


def _print_gallery(gauged: Gauge) -> None:
    from lockd.evaluation.calibration import QUANTILES  # noqa: PLC0415

    people = counted(len(gauged.people), "person", "people")
    click.echo(f"{people}, {counted(gauged.templates, 'template')}")
    for one in gauged.alike()[:1]:
        click.echo(f"The most alike: {one.first} and {one.second}, {one.similarity:.3f}")
    for bad in gauged.misplaced:
        click.echo(
            f"Mislabelled? {bad.person}, {bad.label}: {bad.similarity:.3f} to {bad.other}, "
            f"{bad.own:.3f} to the nearest other of {bad.person}"
        )
    genuine, impostor = gauged.genuine_quantiles(), gauged.impostor_quantiles()
    table = Table("Similarities", "One person", "Two people")
    table.add_row("comparisons", str(len(gauged.genuine)), str(gauged.impostors))
    for share, *values in itertools.zip_longest(QUANTILES, genuine, impostor):
        name = {0.0: "least", 0.5: "median", 1.0: "greatest"}.get(share, f"{100 * share:g} % below")
        table.add_row(name, *("" if value is None else f"{value:.3f}" for value in values))
    table.add_row("-0.2 to 1", _bars(_genuine_histogram(gauged)), _bars(gauged.histogram))
    print_table(table)


def _print_suggestion(
    gauged: Gauge,
    suggestion: Suggestion,
    confusable: list[Alike],
    configured: float,
    wanted: tuple[float, int, float],
) -> None:
    from lockd.evaluation.sentences import calibration  # noqa: PLC0415

    fpir, frames, fmr = wanted
    click.echo(
        f"At most {fpir:g} of strangers' visits, with {counted(gauged.templates, 'template')} and "
        f"{counted(frames, 'judged frame')}: a false match rate of {fmr:.1e} a comparison"
    )
    if suggestion.source != "measured":
        click.echo(
            f"{gauged.impostors} comparisons of two people are too few to measure that; it "
            f"takes {suggestion.comparisons}. More photographs of --strangers help."
        )
    click.echo(f"Suggested: {_in_words(suggestion)}; configured: {configured:g}")
    if suggestion.accept is not None and len(gauged.genuine):
        refused = 100 * gauged.refused(suggestion.accept)
        now = 100 * gauged.refused(configured)
        click.echo(
            f"Of the comparisons within one person it refuses {refused:.1f} %, "
            f"the configured threshold {now:.1f} %"
        )
    for one in confusable[:_NAMED]:
        click.echo(f"Too alike for it: {one.first} and {one.second}, {one.similarity:.3f}")
    click.echo(f"With accept {configured:g}, as configured: {calibration(gauged, configured)}")
    if suggestion.accept not in (None, configured):
        said = calibration(gauged, suggestion.accept)
        click.echo(f"With accept {suggestion.accept:g}, as suggested: {said}")


def _in_words(suggestion: Suggestion) -> str:
    if suggestion.accept is None and suggestion.source == "none":
        return "nothing, for these networks come with no table of thresholds either"
    if suggestion.accept is None:
        return (
            "nothing, for it would take more than 1; is a stranger enrolled, or --fpir too small?"
        )
    sources = {
        "measured": f"measured, with {suggestion.rests_on} comparisons above it",
        "reference": "from the table that comes with the networks",
        "extrapolated": "beyond the table that comes with the networks, so a guess",
    }
    return f"accept {suggestion.accept:g} ({sources[suggestion.source]})"


def _write(
    path: Path | None, suggestion: Suggestion, confusable: list[Alike], configured: float
) -> None:
    """Write a suggested threshold into the configuration, if that is safe.

    Raises:
        ConfigError: if there is nothing to write or nowhere to write it, or if it
            would loosen the door between two enrolled people.
    """
    from lockd.evaluation.rewrite import set_number  # noqa: PLC0415

    if suggestion.accept is None:
        raise ConfigError(f"nothing was written: the suggestion is {_in_words(suggestion)}")
    if suggestion.accept < configured and confusable:
        one = confusable[0]
        raise ConfigError(
            f"recognition.accept stays {configured:g}: at {suggestion.accept:g} {one.first} and "
            f"{one.second} ({one.similarity:.3f}) could be taken for each other; enrol better "
            "photographs of them, or write the threshold by hand"
        )
    if path is None:
        raise ConfigError("nothing was written: name the configuration file with --config")
    backup = set_number(path, "recognition", "accept", suggestion.accept)
    click.echo(f"Written: {path}, recognition.accept {suggestion.accept:g}; before: {backup}")
    click.echo("A running service takes it up when it is restarted.")


def _gallery_data(gauged: Gauge) -> dict[str, Any]:
    from lockd.evaluation.calibration import QUANTILES  # noqa: PLC0415

    def described(count: int, quantiles: list[float], histogram: Ints) -> dict[str, Any]:
        named = {f"{share:g}": value for share, value in zip(QUANTILES, quantiles, strict=False)}
        return {"pairs": count, "quantiles": named, "histogram": _coarse(histogram)}

    closest = [_alike_data(one) for one in gauged.alike()[:1]]
    return {
        "schema": 1,
        "people": len(gauged.people),
        "templates": gauged.templates,
        "closest": closest[0] if closest else None,
        "mislabelled": [
            {
                "person": one.person,
                "template": one.label,
                "own": one.own,
                "other": one.other,
                "similarity": one.similarity,
            }
            for one in gauged.misplaced
        ],
        "genuine": described(
            len(gauged.genuine), gauged.genuine_quantiles(), _genuine_histogram(gauged)
        ),
        "impostor": described(gauged.impostors, gauged.impostor_quantiles(), gauged.histogram),
    }


def _suggestion_data(
    gauged: Gauge, suggestion: Suggestion, confusable: list[Alike]
) -> dict[str, Any]:
    refused = math.nan if suggestion.accept is None else gauged.refused(suggestion.accept)
    return {
        "accept": suggestion.accept,
        "source": suggestion.source,
        "rests_on": suggestion.rests_on,
        "comparisons_needed": suggestion.comparisons,
        "genuine_refused": refused if math.isfinite(refused) else None,
        "confusable": [_alike_data(one) for one in confusable],
    }


def _alike_data(one: Alike) -> dict[str, Any]:
    return {"people": [one.first, one.second], "similarity": one.similarity}


def _genuine_histogram(gauged: Gauge) -> Ints:
    from lockd.evaluation.metrics import histogram_of  # noqa: PLC0415

    return histogram_of(gauged.genuine)


def _coarse(histogram: Ints) -> list[int]:
    """Forty bins of 0.05 over -1..1."""
    counts: list[int] = histogram.reshape(40, -1).sum(axis=1).tolist()
    return counts


def _bars(histogram: Ints) -> str:
    """Bars for the bins of 0.05 from -0.2 to 1."""
    counts = _coarse(histogram)[16:]
    most = max(counts)
    return "".join(
        " " if not count else _BARS[round((len(_BARS) - 1) * count / most)] for count in counts
    )


def _write_json(data: dict[str, Any], path: Path) -> None:
    try:
        with acting_for(path):
            path.write_text(json.dumps(data, ensure_ascii=False, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise ImageError(f"{path}: cannot be written: {error.strerror}") from error
