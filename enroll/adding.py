"""Enrolling people from photographs: `add`, `folder` and `re-embed`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from enroll.capture_options import Wishes, camera_options
from enroll.details import changed, details_options
from enroll.opened import name_argument, opened, progress
from enroll.outcomes import fail_if_refused, report
from enroll.rights import given, rights_options
from lockd.adapters.store import clean_name
from lockd.adapters.store.records import key_of
from lockd.config import Settings
from lockd.console import config_option, reported
from lockd.errors import ImageError

if TYPE_CHECKING:
    from enroll.people import EnrolmentOutcome, Terms

_C = TypeVar("_C", bound=Callable[..., Any])


def _reason(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not value.strip():
        raise click.BadParameter("the reason is empty; it goes into the audit trail")
    return value


def terms_options(command: _C) -> _C:
    """Let a command take all that can be said of somebody who is enrolled; see `terms_of`."""
    command = click.option(
        "--anyway",
        metavar="REASON",
        callback=_reason,
        help="Enrol them though they look like somebody else, or unlike themselves.",
    )(command)
    return rights_options(details_options(command))


def terms_of(
    settings: Settings,
    *,
    groups: tuple[str, ...],
    valid_from: str | None,
    valid_until: str | None,
    external_id: str | None = None,
    note: str | None = None,
    consent_by: str | None = None,
    consent_date: str | None = None,
    anyway: str | None = None,
) -> Terms:
    """Return what the options of `terms_options` say.

    Raises:
        PersonError: if the configuration has no such group.
    """
    from enroll.people import Terms  # noqa: PLC0415

    return Terms(
        access=given(settings, groups, valid_from, valid_until),
        details=changed(external_id, note, consent_by, consent_date),
        anyway=anyway,
    )


def _first_line() -> str:
    return sys.stdin.buffer.readline().decode("utf-8", "replace")


as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@name_argument()
@click.argument("photos", nargs=-1, type=click.Path(path_type=Path, exists=True))
@camera_options
@terms_options
@click.option(
    "--unconfirmed",
    is_flag=True,
    help="Somebody new, who stays a stranger until `lockd-enroll enable`.",
)
@as_json_option
@config_option
@reported
def add(
    name: str,
    photos: tuple[Path, ...],
    wishes: Wishes | None,
    as_json: bool,
    config_file: Path | None,
    unconfirmed: bool,
    **terms: Any,
) -> None:
    """Enrol NAME from photographs or at a camera, or give NAME more of them.

    Each photograph must show exactly one usable face, of the same person as the others
    and of nobody else who is enrolled. Those that do not are refused with the reason; the
    others are enrolled, the twenty most varied of them. Of a folder everything in it is taken;
    for people in sub-folders there is `folder`. Of the rights and details of
    somebody enrolled already, those not given stay; see also `access` and `describe`.

    With --camera the terminal says what to do, and frames of several poses are taken. While
    the service runs they come from it, and it goes on opening the door.

    A NAME of - is the first line of standard input, which no list of processes shows.
    """
    from enroll.people import Enroller  # noqa: PLC0415

    if bool(photos) == (wishes is not None):
        raise click.UsageError("give photographs or --camera, one of them")
    name = clean_name(_first_line() if name == "-" else name)
    with opened(config_file) as (settings, store):
        chosen = replace(terms_of(settings, **terms), unconfirmed=unconfirmed)
        enroller = Enroller(settings, store)
        if wishes is not None:
            from enroll.capture_command import add_at_camera  # noqa: PLC0415

            outcome = add_at_camera(name, settings, enroller, wishes, chosen)
        else:
            from lockd.recognition.photographs import photographs_of  # noqa: PLC0415

            paths = [path for one in photos for path in photographs_of(one)]
            with progress("enrolling", len(paths)) as step:
                outcome = enroller.add(name, paths, step, chosen)
    report([outcome], as_json)
    fail_if_refused([outcome])


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@terms_options
@as_json_option
@config_option
@reported
def folder(directory: Path, as_json: bool, config_file: Path | None, **terms: Any) -> None:
    """Enrol everybody in a folder with one sub-folder of photographs per person.

    A person is named after the sub-folder, with spaces for underscores. What is said of
    rights and details is everybody's in it. Whatever in it is nobody's is told, and the exit
    code is 8 then. Photographs that were enrolled before are left
    alone, so that the command can be repeated when some of them have been replaced.
    """
    from enroll.people import Enroller  # noqa: PLC0415
    from lockd.recognition.photographs import people_in  # noqa: PLC0415

    people = people_in(directory)
    total = sum(map(len, people.photographs.values()))
    if terms["external_id"] is not None:
        raise click.UsageError("--external-id is one person's; see `describe`")
    outcomes: list[EnrolmentOutcome] = []
    try:
        with opened(config_file) as (settings, store), progress("enrolling", total) as step:
            chosen = terms_of(settings, **terms)
            enroller = Enroller(settings, store)
            for name, photos in people.photographs.items():
                outcomes.append(enroller.add(name, photos, step, chosen))
    finally:
        report(outcomes, as_json, people)
    fail_if_refused(outcomes, people)


@click.command("re-embed")
@click.argument(
    "directory", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False)
)
@as_json_option
@config_option
@reported
def re_embed(directory: Path | None, as_json: bool, config_file: Path | None) -> None:
    """Enrol again those who have templates that the networks in use cannot compare.

    From DIRECTORY, a folder as for `folder`, or else from the photographs that are kept of
    them (store.keep_photographs). Each person's templates are replaced at once; those of people
    without a usable photograph stay, unused.
    """
    from enroll.people import Enroller, EnrolmentOutcome, Terms  # noqa: PLC0415
    from lockd.recognition.photographs import People, people_in  # noqa: PLC0415

    people = People() if directory is None else people_in(directory)
    found = {key_of(name): pictures for name, pictures in people.photographs.items()}
    outcomes: list[EnrolmentOutcome] = []
    with opened(config_file) as (settings, store):
        enroller = Enroller(settings, store)
        names = enroller.outdated()
        photos = {name: found.get(key_of(name), []) for name in names}
        with progress("enrolling", sum(map(len, photos.values())) or len(names)) as step:
            for name in names:
                if directory is None:
                    outcomes.append(enroller.embed_again(name, step))
                elif photos[name]:
                    terms = Terms(replace_outdated=True)
                    outcomes.append(enroller.add(name, photos[name], step, terms))
                else:
                    error = f"{name}: no photographs in {directory}; add some, or remove them"
                    outcomes.append(EnrolmentOutcome(name, error=ImageError(error)))
    if not outcomes and not as_json:
        click.echo("Everybody's templates are of the networks in use.")
    report(outcomes, as_json, people)
    fail_if_refused(outcomes, people)
