"""What somebody who is being enrolled, and whoever enrols them, sees in the terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from enroll.capture import Progress, Taken
from enroll.capture_pictures import half_blocks, sheet
from enroll.poses import Hint, Pose

_PREVIEW_COLUMNS = 40
_BAR_COLUMNS = 40
_SHEET_COLUMNS = 80
_NO_COLOURS = (
    "This terminal shows no pictures. If you cannot see who stands there, say no, and look at the "
    "picture that --save-preview FILE writes."
)
_AGAIN_S = 10.0

WORDS = {
    Hint.NOBODY: "Nobody in view: stand in front of the camera",
    Hint.SEVERAL: "Several people in view: one alone, please",
    Hint.CLOSER: "Come closer",
    Hint.WHOLE_FACE: "Move so that the whole face is in the picture",
    Hint.MORE_LIGHT: "More light on the face, please",
    Hint.LESS_LIGHT: "Less light on the face, please",
    Hint.UNCOVER: "Show the whole face, uncovered",
    Hint.HOLD_STILL: "Hold still",
    Hint.LOOK_STRAIGHT: "Look straight at the camera",
    Hint.STRAIGHT_HIGHER: "Look straight at the camera, the chin a little higher",
    Hint.STRAIGHT_LOWER: "Look straight at the camera, the chin a little lower",
    Hint.TURN_LEFT: "Turn your head a little to your left",
    Hint.TURN_RIGHT: "Turn your head a little to your right",
    Hint.CHIN_UP: "Lift your chin a little",
    Hint.CHIN_DOWN: "Lower your chin a little",
    Hint.NOT_SO_FAR: "Not so far: turn back a little",
    Hint.VARY: "Good, but like the one before: smile, or move your head a little",
    Hint.STAY: "Good: stay like that",
    Hint.SOMEBODY_ELSE: "This is somebody else: let the first one come back, or stay to begin anew",
    Hint.BEGUN_AGAIN: "Begun anew with the person in view",
    Hint.TAKEN: "Taken",
    Hint.COMPLETE: "Complete, thank you",
}
"""What each hint says."""

_AT_ONCE = (Hint.TAKEN, Hint.BEGUN_AGAIN, Hint.COMPLETE)


class Steady:
    """Lets a hint through once it came twice in a row, so that the words do not flicker."""

    def __init__(self) -> None:
        self._shown: Hint | None = None
        self._before: Hint | None = None

    def of(self, hint: Hint) -> Hint:
        """Return what to show."""
        if self._shown is None or hint is self._before or hint in _AT_ONCE:
            self._shown = hint
        self._before = hint
        return self._shown


@dataclass(frozen=True, slots=True)
class Marks:
    """Characters that the terminal has."""

    done: str = "✓"
    open: str = "…"


def marks_of(console: Console) -> Marks:
    """Return marks that the console's encoding has."""
    return Marks() if console.encoding.startswith("utf") else Marks("ok", "..")


def told(progress: Progress, marks: Marks) -> str:
    """Return how far it has come: `3 of 8: frontal ✓✓… left ✓ right … up … down …`."""
    done = Counter(one.pose for one in progress.taken)
    wanted = Counter(progress.goals)
    poses = [
        f"{pose.value} {marks.done * done[pose]}{marks.open * max(0, wanted[pose] - done[pose])}"
        for pose in Pose
        if wanted[pose] or done[pose]
    ]
    return f"{len(progress.taken)} of {wanted.total()}: {'  '.join(poses)}"


def summary(taken: list[Taken]) -> Table:
    """Return a table of what was taken."""
    table = Table("Pose", "Face", "Sharpness", "Like the first", box=None, header_style="dim")
    for one in taken:
        table.add_row(
            one.pose.value,
            f"{one.quality.size_px:.0f} px",
            f"{one.quality.sharpness:.2f}",
            f"{float(one.embedding @ taken[0].embedding):.2f}",
        )
    return table


def show_faces(console: Console, taken: list[Taken]) -> None:
    """Show whom the frames taken show, or say how else that can be seen."""
    if console.color_system:
        columns = min(_SHEET_COLUMNS, console.width)
        console.print(half_blocks(sheet([one.picture for one in taken]), columns))
    else:
        console.print(_NO_COLOURS)


class _Screen:
    """Words and marks; derived classes put them somewhere."""

    def __init__(self, console: Console, *, preview: bool) -> None:
        self._console = console
        self._marks = marks_of(console)
        self._steady = Steady()
        self._preview = preview
        self._count = 0

    def _words(self, progress: Progress) -> str | None:
        if progress.problem is not None:
            return f"The camera: {progress.problem}"
        if progress.advice is None:
            return None
        return WORDS[self._steady.of(progress.advice.hint)]

    def _show_picture(self, progress: Progress) -> None:
        """Show the frame just taken, where it is asked for and the terminal has colours."""
        if len(progress.taken) > self._count and self._preview and self._console.color_system:
            columns = min(_PREVIEW_COLUMNS, self._console.width)
            self._console.print(half_blocks(progress.taken[-1].picture, columns))
        self._count = len(progress.taken)


class PlainScreen(_Screen):
    """A line for each change: for pipes, logs and screen readers."""

    def __init__(self, console: Console, *, preview: bool) -> None:
        super().__init__(console, preview=preview)
        self._said: str | None = None
        self._again_at = 0.0

    def update(self, progress: Progress) -> None:
        """Say what is new."""
        if len(progress.taken) != self._count:
            self._console.print(escape(told(progress, self._marks)))
        self._show_picture(progress)
        words = self._words(progress)
        if words is None or words == WORDS[Hint.TAKEN]:
            return
        if words != self._said:
            self._console.print(escape(words))
        elif progress.left_s <= self._again_at:
            self._console.print(f"{escape(words)} ({progress.left_s:.0f} s left)")
        else:
            return
        self._said, self._again_at = words, progress.left_s - _AGAIN_S


class LiveScreen(_Screen):
    """A panel that stays in its place."""

    def __init__(self, console: Console, name: str, live: Live, *, preview: bool) -> None:
        super().__init__(console, preview=preview)
        self._name = name
        self._live = live
        self._shown = "Looking for the camera's picture"

    def update(self, progress: Progress) -> None:
        """Bring the panel up to date."""
        self._show_picture(progress)
        self._shown = self._words(progress) or self._shown
        total = len(progress.goals)
        rows = Group(
            Text(self._shown, style="bold"),
            # A bar alone does not end its line, and the poses would share it.
            Padding(ProgressBar(total, len(progress.taken), width=_BAR_COLUMNS), 0),
            Text(told(progress, self._marks)),
            Text(f"{progress.left_s:.0f} s left; Ctrl-C ends it", style="dim"),
        )
        self._live.update(Panel(rows, title=escape(self._name), expand=False))


class JsonScreen:
    """A JSON line on standard output for each change, and now and then: for programs."""

    def __init__(self) -> None:
        self._steady = Steady()
        self._said: dict[str, object] = {}
        self._again_at = 0.0

    def update(self, progress: Progress) -> None:
        """Say what is new."""
        said: dict[str, object] = {"taken": len(progress.taken), "of": len(progress.goals)}
        if progress.problem is not None:
            said["problem"] = progress.problem
        elif progress.advice is not None:
            hint = self._steady.of(progress.advice.hint)
            said |= {"hint": hint.value, "says": WORDS[hint]}
        elif said["taken"] == self._said.get("taken"):
            return
        if said != self._said or progress.left_s <= self._again_at:
            self._said, self._again_at = said, progress.left_s - _AGAIN_S
            click.echo(json.dumps({**said, "left_s": round(progress.left_s)}))


@contextmanager
def screen(
    console: Console, name: str, *, plain: bool, preview: bool, for_programs: bool = False
) -> Iterator[Callable[[Progress], None]]:
    """Open what shows the progress: a panel in a terminal that can, else lines.

    Args:
        name: of whoever is enrolled.
        plain: lines in any case.
        preview: also a small picture of each frame taken.
        for_programs: JSON lines on standard output instead.
    """
    if for_programs:
        yield JsonScreen().update
        return
    if plain or not console.is_terminal or console.is_dumb_terminal:
        yield PlainScreen(console, preview=preview).update
        return
    with Live(console=console, refresh_per_second=8, transient=True) as live:
        yield LiveScreen(console, name, live, preview=preview).update
