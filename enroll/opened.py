"""What the commands of `lockd-enroll` share: the store, progress, names to complete."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lockd.adapters.store import Store
from lockd.adapters.store import opened as open_store
from lockd.config import Settings, find, load
from lockd.console import err
from lockd.errors import LockdError, PersonError


@contextmanager
def opened(config_file: Path | None, *, revoking: bool = False) -> Iterator[tuple[Settings, Store]]:
    """Read the configuration and open the store, making it where there is none.

    Args:
        revoking: see `Store.open`.
    """
    settings = load(find(config_file))
    with open_store(settings.store, make=True, revoking=revoking) as store:
        yield settings, store


@contextmanager
def looked_at(config_file: Path | None) -> Iterator[tuple[Settings, Store | None]]:
    """Read the configuration and open the store to read it; None where there is none."""
    settings = load(find(config_file))
    with open_store(settings.store) if settings.store.path().exists() else nullcontext() as store:
        yield settings, store


def nobody(name: str) -> PersonError:
    """Return what to say of a name where there is no store."""
    return PersonError(f"{name!r}: nobody of that name is enrolled; see lockd-enroll list")


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar on a terminal; what it gives is to be called after each step."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=err, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def sure(question: str, yes: bool) -> None:
    """Ask on a terminal whether to go on; programs have said so by calling.

    Raises:
        click.Abort: if not.
    """
    if not yes and on_a_terminal():
        click.confirm(question, abort=True, err=True)


def on_a_terminal() -> bool:
    """Return whether there is somebody to ask."""
    return sys.stdin.isatty()


def _names(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The people whose names begin so; nobody if the store cannot be read."""
    try:
        with looked_at(context.params.get("config_file")) as (__, store):
            names = [one.person.name for one in store.people.all()] if store else []
    except (LockdError, OSError):
        return []
    folded = incomplete.casefold()
    return [CompletionItem(_typed(one)) for one in names if one.casefold().startswith(folded)]


def _typed(name: str) -> str:
    """A name as it must stand on the command line; bash alone leaves that to us.

    Each backslash twice, for click's script reads the answer without `read -r`. Within quotes,
    which bash closes by itself, other characters mean something than without.
    """
    if not os.environ.get("_LOCKD_ENROLL_COMPLETE", "").startswith("bash"):
        return name
    words, number = os.environ["COMP_WORDS"].split("\n"), int(os.environ["COMP_CWORD"])
    begun = words[number][:1] if number < len(words) else ""
    if begun == "'":
        return name.replace("'", r"'\\''")
    return re.sub(r'(["$`])' if begun == '"' else r"([^\w@%+=:,./-])", r"\\\\\1", name)


def name_argument(name: str = "name", **how: Any) -> Callable[[Any], Any]:
    """Take the name of somebody enrolled, completed by the shell."""
    return click.argument(name, shell_complete=_names, **how)
