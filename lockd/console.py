"""What every command shares: error reports, exit codes, logging and the --config option."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lockd.errors import LockdError, scrubbed
from lockd.paths import ON_BEHALF_OF

# The list of commands needs nothing but click; whatever else is imported here, it waits for.
# ruff: noqa: PLC0415
if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    err: Console
    """Progress and problems; standard output is for results."""


def __getattr__(name: str) -> Any:
    """Make `err` when it is first asked for."""
    if name != "err":
        raise AttributeError(name)
    from rich.console import Console

    class Discreet(Console):
        """Prints no password that is in a URL."""

        def print(self, *objects: Any, **options: Any) -> None:
            """Print; see `Console.print`."""
            super().print(*(scrubbed(o) if isinstance(o, str) else o for o in objects), **options)

    return globals().setdefault("err", Discreet(stderr=True, highlight=False, soft_wrap=True))


_WIDEST = 10_000
_Command = TypeVar("_Command", bound=Callable[..., Any])

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="Configuration file [default: $LOCKD_CONFIG, /etc/lockd/lockd.yaml if there, or none].",
)

EXIT_CODES = """\b
Exit codes:
  0  done                         6  camera, video or folder of pictures
  1  anything else                7  relay pin
  2  wrong usage                  8  photograph refused or unreadable
  3  configuration                9  person's name
  4  networks or TFLite runtime  10  MQTT settings
  5  store                       11  installation
                                 12  asking the running service
                                 13  exported people, or a backup
                                 14  PIN or card
"""


def printable(text: str, keep: str = "") -> str:
    """Return a text without what would move a terminal's cursor, colour it or turn it round.

    File names may hold anything at all, and messages name files.

    Args:
        keep: characters that may stay.
    """
    from lockd.types import JOINERS

    keep += JOINERS
    return "".join(char if char.isprintable() or char in keep else "\ufffd" for char in text)


def print_table(table: Table, *whole: str) -> None:
    """Print a table on standard output; nothing of it is ever cut.

    On a terminal cells go on in the next line between words. Where words or times would have to be
    broken, each row is a list of lines instead. Elsewhere than on a terminal no line is too wide.

    Args:
        whole: the titles of columns that are not to be broken at all, such as times and names.
    """
    from rich.console import Console

    console, measuring = Console(highlight=False), Console(width=_WIDEST)
    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    least, most = [], []
    for column in table.columns:
        needs = [measuring.measure(one) for one in (column.header, *column.cells)]
        most.append(max(one.maximum for one in needs))
        least.append(most[-1] if column.header in whole else max(one.minimum for one in needs))
    frame = 3 * len(table.columns) + 1
    console.width = console.width if sys.stdout.isatty() else sum(most) + frame
    room = console.width - frame - sum(least)
    if room < 0:
        for row in rows:
            for column, cell in zip(table.columns, row, strict=True):
                console.print(f"{column.header}:", cell, soft_wrap=True)
            console.print()
        return
    for column, narrow, wide in zip(table.columns, least, most, strict=True):
        column.width = min(wide, narrow + room)
        room -= column.width - narrow
    console.print(table)


def counted(number: int, what: str, many: str | None = None) -> str:
    """Return a number of things in words: 1 template, 2 templates.

    Args:
        many: several of them, if not with an "s".
    """
    return f"{number} {what if number == 1 else many or what + 's'}"


def shown(text: str) -> str:
    """Return a text that can be written, though the name of a file in it is no text."""
    return text.encode("utf-8", "backslashreplace").decode()


def reported(command: _Command) -> _Command:
    """Make a command end with a message and the error's exit code instead of a traceback."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except LockdError as error:
            from rich.markup import escape

            from lockd.console import err

            err.print(
                f"[bold red]error:[/] {escape(printable(scrubbed(str(error)), keep=chr(10)))}"
            )
            sys.exit(error.exit_code)
        except BrokenPipeError:
            # The reader of our output has gone; Python would complain once more at exit.
            sys.stdout = open("/dev/null", "w")  # noqa: SIM115
            sys.exit(0)

    return wrapper  # type: ignore[return-value]


def administrator() -> str:
    """Return who runs the command, for the audit trail: behind `sudo`, who typed it."""
    name = os.environ.get(ON_BEHALF_OF) or os.environ.get("SUDO_USER")
    if name:
        return name
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


@contextmanager
def signals_heard(handlers: Mapping[int, Callable[[], None]]) -> Iterator[Callable[[], bool]]:
    """Hear signals in a thread of its own: Python's handlers wait for native code to return.

    What is given answers whether that thread is alive.

    Args:
        handlers: by signal number, called from that thread.
    """
    import signal
    import socket
    import threading

    heard, told = socket.socketpair()
    told.setblocking(False)
    before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)

    def listen() -> None:
        with heard:
            while numbers := heard.recv(64):
                for number in numbers:
                    if number in handlers:
                        handlers[number]()

    for number in handlers:
        signal.signal(number, lambda *_: None)  # else it would end the process
    thread = threading.Thread(target=listen, name="signal-listener", daemon=True)
    thread.start()
    try:
        yield thread.is_alive
    finally:
        signal.set_wakeup_fd(before)
        told.close()
        thread.join(timeout=1.0)


def log_to_stderr(level: str) -> None:
    """Send the log to standard error, or to the journal, with its fields, if that reads it."""
    import logging

    from lockd.adapters.journal import JournalHandler, has_our_stderr, priority, text_of

    class PriorityFormatter(logging.Formatter):
        """Prefixes sd-daemon(3) priorities, by which journalctl colours and filters."""

        def format(self, record: logging.LogRecord) -> str:
            text = scrubbed(text_of(record, super().format(record)))
            if sys.stderr.isatty():
                return text
            return "\n".join(f"<{priority(record.levelno)}>{line}" for line in text.splitlines())

    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PriorityFormatter())
    if has_our_stderr():
        handler = JournalHandler(otherwise=handler)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def version_option(program: str) -> Callable[[_Command], _Command]:
    """Return the option --version, which looks the version up when it is asked for it."""

    def show(context: click.Context, _: click.Parameter, asked: bool) -> None:
        if asked and not context.resilient_parsing:
            from lockd import __version__

            click.echo(f"{program}, version {__version__}")
            context.exit()

    return click.option(
        "--version",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Show the version and exit.",
    )


def _meant(word: str, known: Iterable[str]) -> str:
    """Return a question after what was meant by a mistyped word, if there is something like it."""
    import difflib

    close = difflib.get_close_matches(word.lower(), known, n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


class Choice(click.Choice):  # type: ignore[type-arg]  # generic only from click 8.2 on
    """One of several words; a mistyped one is told with what may have been meant."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word."""
        try:
            word: str = super().convert(value, param, ctx)
            return word
        except click.BadParameter as error:
            self.fail(error.message + _meant(str(value), self.choices), param, ctx)


class Group(click.Group):
    """A group of commands; a mistyped one is told with what may have been meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called."""
        known = self.list_commands(ctx)
        if args and args[0] not in known and args[0][:1].isalnum():
            ctx.fail(f"No such command '{printable(args[0])}'.{_meant(args[0], known)}")
        return super().resolve_command(ctx, args)


class Commands(Group):
    """A group of commands, each imported when it is called.

    What all of them need together takes a small board seconds to import, and `lockd send`, the
    list of commands or the completion of a name needs little of it.
    """

    def __init__(
        self, *args: Any, package: str, table: Mapping[str, tuple[str, str]], **kwargs: Any
    ) -> None:
        """Name the commands.

        Args:
            package: that the commands are in.
            table: by the name of each command where it is, as ``.module:attribute``, and what it
                does, in a line of the list.
        """
        super().__init__(*args, **kwargs)
        self.package = package
        self.table = table

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a wrong command line is quoted without the passwords in it."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            vars(error)["message"] = scrubbed(error.message)
            raise

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, without importing any."""
        return sorted(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported for it; None if there is none of that name."""
        if cmd_name not in self.table:
            return None
        module, _, attribute = self.table[cmd_name][0].partition(":")
        found: click.Command = getattr(import_module(module, self.package), attribute)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.table[name][1]) for name in sorted(self.table)])
