"""The command `lockd update`: is there a newer version? Never by itself."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import click
from packaging.version import Version

from lockd import __version__
from lockd.commands.options import json_option
from lockd.commands.update import index
from lockd.config import find, load
from lockd.console import config_option, err, reported
from lockd.errors import InstallError
from lockd.files import UnreadableError, acting_for, move_new, read_file

_TIMEOUT_S = 20.0
_OLD = timedelta(days=180)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_PIECE = 1 << 20


@click.command()
@click.option("--check", is_flag=True, help="Only say whether there is one (the default).")
@click.option(
    "--download",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Fetch the package for this machine into a folder, and check it; install it yourself.",
)
@click.option(
    "--index", "source", metavar="URL", help="The list of releases [default: update.index]."
)
@click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path),
    help="The key it is signed with [default: update.key_file].",
)
@json_option
@config_option
@reported
def update(
    check: bool,
    folder: Path | None,
    source: str | None,
    key_file: Path | None,
    as_json: bool,
    config_file: Path | None,
) -> None:
    """Say whether there is a newer version, by a list that must be signed with the key you named.

    Nothing is installed: `sudo apt install ./FILE` does that.
    """
    if check and folder is not None:
        raise click.UsageError("--check and --download exclude each other")
    settings = load(find(config_file)).update
    source, key_file = source or settings.index, key_file or settings.key_file
    if source is None or key_file is None:
        raise InstallError(
            "nobody said where releases are listed; set update.index and update.key_file, or say "
            "--index and --key"
        )
    listed = index.verified(
        _fetched(source), _fetched(f"{source}.sig"), index.public_key(_file(key_file))
    )
    newest = listed.newest()
    newer = newest if newest and Version(newest.version) > Version(__version__) else None
    if datetime.now(UTC) - listed.made_utc.astimezone(UTC) > _OLD:
        err.print(f"the list is of {listed.made_utc:%Y-%m-%d}: is it the last?", style="yellow")
    package = newer.package(_debian(), _architecture()) if newer else None
    if as_json:
        told = {
            "version": __version__,
            "newer": newer and newer.version,
            "date": newer and newer.date,
            "package": package and package.name,
        }
        click.echo(json.dumps(told))
    elif newer is None:
        click.echo(f"lockd {__version__} is the newest.")
    else:
        click.echo(f"lockd {newer.version} of {newer.date} is there; this is {__version__}.")
    if folder is not None and newer is not None:
        if package is None:
            raise InstallError(f"lockd {newer.version} has no package for this machine")
        _download(source, package, folder)
        click.echo(f"{folder / package.name}: as it was signed; sudo apt install ./{package.name}")


def _download(source: str, package: index.File, folder: Path) -> None:
    """Fetch a file, and give it its name once it is what was signed."""
    place, digest, left = folder / package.name, hashlib.sha256(), package.bytes
    beside = place.with_name(f".{place.name}.part")
    try:
        with acting_for(folder):
            beside.unlink(missing_ok=True)
            handle = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644)
        with os.fdopen(handle, "wb") as target, _opened(_beside(source, package.name)) as file:
            while part := file.read(min(_PIECE, left + 1)):
                left -= len(part)
                if left < 0:
                    break
                digest.update(part)
                target.write(part)
        if left or digest.hexdigest() != package.sha256:
            raise InstallError(f"{package.name}: not what was signed; it was not kept")
        with acting_for(folder):
            move_new(beside, place)
    except FileExistsError:
        raise InstallError(f"{place}: is there already") from None
    finally:
        with acting_for(folder):
            beside.unlink(missing_ok=True)


def _fetched(source: str) -> bytes:
    with _opened(source) as file:
        content = file.read(index.MOST_BYTES + 1)
    if len(content) > index.MOST_BYTES:
        raise InstallError(f"{source}: too large for a list of releases")
    return content


@contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    """Open a URL, or a file of this machine.

    Raises:
        InstallError: if it cannot be read, or is to be fetched without encryption.
    """
    try:
        if "://" not in source:
            with Path(source).open("rb") as file:
                yield file
            return
        if not source.startswith("https://"):
            raise InstallError(f"{source}: only https:// and files of this machine are read")
        with urllib.request.urlopen(source, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            if not answer.url.startswith("https://"):
                raise InstallError(f"{source}: leads to {answer.url}, which is not encrypted")
            yield answer
    except (urllib.error.URLError, OSError) as error:
        if isinstance(error, InstallError):
            raise
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise InstallError(f"{source}: cannot be read: {reason}") from error


def _beside(source: str, name: str) -> str:
    """A file that lies beside the list."""
    if "://" in source:
        return urllib.parse.urljoin(source, urllib.parse.quote(name))
    return str(Path(source).with_name(name))


def _file(path: Path) -> bytes:
    try:
        with acting_for(path.parent):
            return read_file(path, index.MOST_BYTES)
    except UnreadableError as error:
        raise InstallError(f"{path}: {error}") from error


def _debian() -> str:
    try:
        return platform.freedesktop_os_release().get("VERSION_ID", "")
    except OSError:
        return ""


def _architecture() -> str:
    return _ARCHITECTURES.get(platform.machine(), platform.machine())
