"""Runs a door for a long time, with one fault after the other, and watches it.

    make soak ARGS="--minutes 60 --seed 1"

The clip of the demo goes round before the camera: somebody enrolled comes, and a stranger.
Faults are drawn by the seed. Between a fault's end and the next the door has to recover:
somebody is let in again. Throughout:

    never left on       the relay is on for no longer than open_s, plus what the fault that
                        was under way allows: see `Fault.longer_s`
    never for nobody    on only if somebody enrolled was just there, or pressed the button
    never for a forger  commands from afar are obeyed only if anna gave them, and once;
                        somebody else sends forged, altered and old ones all the time
    still obeyed        after every fault, those that anna gives are
    nothing lost        every event that the log tells of arrives at the broker
    nothing leaks       memory and file descriptors stay flat in a process that lives long

The report is written as JSON and as text. The exit code is 1 if anything was violated.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.callers import Callers
from tests.faults.clip import ClipFilm
from tests.faults.faults import FAULTS, SIGNALS, Fault
from tests.faults.records import Opening, openings, seen_before
from tests.faults.site import KNOWN, RELAY, Site, enroll

OPEN_S = 3.0
LATE_S = 1.0
RECOVERS_WITHIN_S = 180.0
ORDER_S = 7.0
ATTACK_S = 0.3
LOCKED_DOWN_S = 8.0
SAMPLE_S = 5.0
WARM_UP_S = 120.0
LONG_LIFE_S = 600.0
GROWTH_MB_PER_H = 30.0
GROWTH_FILES = 8


@dataclass
class Life:
    """What one process of the service used, over its time."""

    pid: int
    samples: list[tuple[float, float, int]] = field(default_factory=list)

    @property
    def settled(self) -> list[tuple[float, float, int]]:
        """What it used after its warm-up."""
        begun = self.samples[0][0]
        return [one for one in self.samples if one[0] - begun >= WARM_UP_S]

    def summary(self) -> dict[str, Any]:
        """Its memory and files, and how they grew."""
        result: dict[str, Any] = {
            "pid": self.pid,
            "seconds": round(self.samples[-1][0] - self.samples[0][0]),
            "rss_mb_max": round(max(rss for _, rss, _ in self.samples), 1),
            "files_max": max(files for *_, files in self.samples),
        }
        settled = self.settled
        if len(settled) >= 20:
            t = np.array([one[0] for one in settled])
            rss = np.array([one[1] for one in settled])
            quarter = len(settled) // 4
            files = [one[2] for one in settled]
            result["rss_mb_per_h"] = round(float(np.polyfit(t - t[0], rss, 1)[0]) * 3600, 2)
            result["rss_mb_growth"] = round(
                float(np.median(rss[-quarter:]) - np.median(rss[:quarter])), 2
            )
            result["files_growth"] = statistics.median(files[-quarter:]) - statistics.median(
                files[:quarter]
            )
        return result


@dataclass
class Round:
    """One fault and what became of it."""

    fault: str
    begun: float
    ended: float = 0.0
    recovered: float | None = None


class Soak:
    """One run."""

    def __init__(self, folder: Path, minutes: float, seed: int, only: list[str]) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self.film = ClipFilm()
        self.site = _site(folder)
        self.site.camera.show(self.film)
        self.callers = Callers(self.site.broker.port, seed)
        self.begun = time.monotonic()
        self.until = self.begun + minutes * 60
        self.rounds: list[Round] = []
        self.lives: list[Life] = []
        self.violations: list[str] = []
        self.faults = [one for one in FAULTS if one.name in only]
        self._sampled = 0.0
        self._ordered = self._attacked = self.begun
        self._judged = 0
        self._exits = 0

    def run(self) -> dict[str, Any]:
        """Soak; return the report."""
        try:
            self._go_through()
        except Exception as error:  # what was seen until then is worth a report
            traceback.print_exc()
            self._violate(f"the soak itself failed: {error!r}")
        return self._report()

    def _go_through(self) -> None:
        self.site.start()
        self._recover("the start")
        while time.monotonic() < self.until:
            self._round(self._choose())
        self._settle()
        self.site.manager.stop()
        self._wait(lambda: not self.site.missing(), 60)

    def _choose(self) -> Fault:
        """A fault; in the first and last third none that ends the process: one must live long."""
        third = (time.monotonic() - self.begun) / (self.until - self.begun) * 3
        gentle = [one for one in self.faults if not one.ends]
        return self.random.choice(self.faults if 1 <= third < 2 else gentle or self.faults)

    def _round(self, fault: Fault) -> None:
        self._wait(lambda: False, self.random.uniform(0, self.film.seconds / 2))
        now = time.monotonic()
        one = Round(fault.name, now)
        self.rounds.append(one)
        say(f"{now - self.begun:7.1f} s  {fault.name}")
        if fault.ends:
            self.site.forgiven.append(self.site.manager.pid)
        undo = fault.begin(self.site, self.random)
        self._wait(lambda: False, self.random.uniform(*fault.lasts_s))
        undo()
        one.ended = time.monotonic()
        self.site.camera.show(self.film)
        one.recovered = self._recover(fault.name)
        self._obey("lock", fault.name)
        if self.random.random() < 0.3:
            self._leave()
        if self.random.random() < 0.3:
            self._lock_down()

    def _recover(self, what: str) -> float | None:
        """Wait until somebody is let in again, and the news of it is out."""
        begun = time.monotonic()
        before = len(self.site.listener.events("access_granted"))
        known = {event["id"] for event in self.site.events("access_granted")}

        def news() -> bool:
            heard = self.site.listener.events("access_granted")[before:]
            return any(event["id"] not in known for event in heard)

        if not self._wait(news, RECOVERS_WITHIN_S):
            self._violate(f"nobody was let in within {RECOVERS_WITHIN_S:g} s after {what}")
            return None
        return time.monotonic() - begun

    def _obey(self, command: str, what: str) -> None:
        """See that a command of somebody who may is obeyed, given again if nobody answers."""
        for _ in range(5):
            order = self.callers.order(command)
            if self._wait(lambda order=order: order.result is not None, 10) and (
                order.result == "ok"
            ):
                return
        self._violate(f"{command} was not obeyed after {what}: {order}")

    def _lock_down(self) -> None:
        """For a while nobody gets in, neither by face nor by command."""
        self._obey("lock-down", "all was well")
        self._wait(lambda: not self.site.is_open(), OPEN_S + LATE_S)
        before = len(self._openings())
        self._wait(lambda: False, LOCKED_DOWN_S)
        if len(self._openings()) > before:
            self._violate("it opened while it was locked down")
        self._obey("lift", "a lock-down")

    def _leave(self) -> None:
        """Somebody inside presses the exit button."""
        self.site.pressed.append(time.monotonic())
        before = len(self._openings())
        self.site.order("drive", pin=23, level=0)
        open_already = self.site.is_open()
        if not self._wait(lambda: open_already or len(self._openings()) > before, 5):
            self._violate("the exit button did not let out")
        self.site.order("drive", pin=23, level=1)
        self._exits += 1

    def _settle(self) -> None:
        self._wait(lambda: not self.site.missing(), 60)
        self._wait(lambda: not self.site.is_open(), OPEN_S + LATE_S)

    def _wait(self, done: Callable[[], bool], seconds: float) -> bool:
        """Watch the door until something is so; return whether it came to be."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._watch()
            if done():
                return True
            time.sleep(0.1)
        return False

    def _watch(self) -> None:
        now = time.monotonic()
        for one in self._openings()[self._judged :]:
            limit = self._limit(one, now)
            if one.seconds(now) > limit:
                self._violate(f"on for {one.seconds(now):.2f} s instead of {limit:g}: {one}")
            elif one.off is None:
                break
            self._judge(one)
            self._judged += 1
        if now - self._ordered >= ORDER_S:
            self._ordered = now
            self.callers.order_anything()
        if now - self._attacked >= ATTACK_S:
            self._attacked = now
            self.callers.attack()
        if now - self._sampled >= SAMPLE_S:
            self._sampled = now
            self._sample(now)

    def _judge(self, one: Opening) -> None:
        """Check for whom the door was open."""
        seen = seen_before(one.on, self.film.shown(one.on))
        left = any(0 <= one.on - t < 5 for t in self.site.pressed)
        ordered = self.callers.may_have_opened(one.on)
        if KNOWN not in seen and not left and not ordered and not self._goes_on(one):
            self._violate(f"on for {seen}: {one}")

    def _goes_on(self, one: Opening) -> bool:
        """Whether it is the rest of the one before, which the configuration, read again, cut."""
        if not self._judged or one.off is None:
            return False
        before = self._openings()[self._judged - 1]
        cut = before.off is not None and 0 <= one.on - before.off < LATE_S
        return cut and one.off - before.on <= OPEN_S + LATE_S

    def _limit(self, one: Opening, now: float) -> float:
        """How long this opening may be: whoever is let through meanwhile has all of the time."""
        off = one.off or now
        pressed = (t for t in self.site.pressed if one.on <= t <= off)
        anew = max(self.callers.last_opened(one.on, off), *pressed, one.on)
        limit = anew - one.on + OPEN_S + LATE_S
        for round_ in self.rounds:
            end = round_.ended or now
            if round_.begun <= off and one.on <= end + OPEN_S:
                fault = next(fault for fault in self.faults if fault.name == round_.fault)
                limit = max(
                    limit,
                    OPEN_S
                    + LATE_S
                    + fault.longer_s
                    + (end - round_.begun if fault.longer_s else 0.0),
                )
        return limit

    def _sample(self, now: float) -> None:
        main = self.site.manager.main
        if main is None or main.poll() is not None:
            return
        try:
            status = Path(f"/proc/{main.pid}/status").read_text()
            files = len(list(Path(f"/proc/{main.pid}/fd").iterdir()))
            rss = int(status.split("VmRSS:")[1].split()[0]) / 1024
        except (OSError, IndexError):
            return
        if not self.lives or self.lives[-1].pid != main.pid:
            self.lives.append(Life(main.pid))
        self.lives[-1].samples.append((now, rss, files))

    def _openings(self) -> list[Opening]:
        return openings(self.site.board.changes(RELAY))

    def _violate(self, what: str) -> None:
        say(f"VIOLATED: {what}")
        self.violations.append(what)

    def _report(self) -> dict[str, Any]:
        self._watch()
        missing = self.site.missing()
        for event in missing:
            self._violate(f"lost: {event}")
        for change in self.site.board.changes(RELAY):
            if change.what in ("claimed", "released") and change.level:
                self._violate(f"{change.what} unlocked: {change}")
        for wrong in self.callers.judge(self.site.events()):
            self._violate(wrong)
        lives = [life.summary() for life in self.lives]
        for life in lives:
            if life["seconds"] < LONG_LIFE_S or "rss_mb_per_h" not in life:
                continue
            if life["rss_mb_per_h"] > GROWTH_MB_PER_H and life["rss_mb_growth"] > 10:
                self._violate(f"memory grows: {life}")
            if life["files_growth"] > GROWTH_FILES:
                self._violate(f"file descriptors grow: {life}")
        now = time.monotonic()
        opened = self._openings()
        usual = [one for one in opened if self._limit(one, now) == OPEN_S + LATE_S]
        recovered = [one.recovered for one in self.rounds if one.recovered is not None]
        return {
            "seed": self.seed,
            "minutes": round((now - self.begun) / 60, 1),
            "faults": dict(Counter(one.fault for one in self.rounds)),
            "fault_count": len(self.rounds),
            "unlocks": len(opened),
            "exits": self._exits,
            "orders": self.callers.results(),
            "attacks": self.callers.attacks,
            "restarts": self.site.manager.count("started") - 1,
            "watchdog_kills": self.site.manager.count("watchdog"),
            "events": dict(Counter(event["type"] for event in self.site.events())),
            "lost_events": len(missing),
            "longest_on_s": round(max((one.seconds(now) for one in usual), default=0), 3),
            "longest_on_in_a_fault_s": round(
                max((one.seconds(now) for one in opened), default=0), 3
            ),
            "slowest_recovery_s": round(max(recovered, default=0), 1),
            "lives": lives,
            "violations": self.violations,
        }


def _site(folder: Path) -> Site:
    """A door as it is configured by default, but for times that suit a short loop."""
    return Site(
        enroll(folder, {"threads": 1}),
        unit={"watchdog_s": 5.0, "stop_s": 5.0, "start_s": 60.0},
        fps=6,
        door={"open_s": OPEN_S, "lock_out": {"denials": 5, "lasts_s": 10}},
        recognition={
            "profile": "accurate",
            "visit_gap_s": 2.0,
            "stranger_frames": 6,
            "stranger_after_s": 1.5,
            "rejudge_s": 0.5,
        },
        camera={"frozen_after_s": 5.0, "covered_after_s": 5.0, "read_timeout_s": 2.0},
        mqtt=Callers.settings(folder),
        access={"clock": "trusted"},
        control={"socket": "run/control"},
        signals=SIGNALS,
    )


def say(text: str) -> None:
    """Progress."""
    print(text, flush=True)


def text_of(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = [
        f"{report['minutes']} minutes, seed {report['seed']}",
        f"{report['fault_count']} faults, {report['restarts']} restarts, "
        f"{report['watchdog_kills']} of them by the watchdog",
        f"{report['unlocks']} unlocks, {report['exits']} of them by the exit button",
        f"orders from afar: {report['orders']}, hostile messages: {report['attacks']}",
        f"longest on: {report['longest_on_s']} s; with a fault that takes the guard away: "
        f"{report['longest_on_in_a_fault_s']} s",
        f"slowest recovery: {report['slowest_recovery_s']} s",
        f"events: {sum(report['events'].values())}, lost: {report['lost_events']}",
    ]
    lines += [f"  {count:4} x {name}" for name, count in sorted(report["faults"].items())]
    for life in report["lives"]:
        if "rss_mb_per_h" in life:
            lines.append(
                f"process {life['pid']}: {life['seconds']} s, {life['rss_mb_max']} MB at most, "
                f"{life['rss_mb_per_h']:+} MB/h, files {life['files_growth']:+}"
            )
    lines += [f"VIOLATED: {one}" for one in report["violations"]] or ["nothing was violated"]
    return "\n".join(lines) + "\n"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Soak a door.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[], help="faults by name")
    parser.add_argument(
        "--gentle", action="store_true", help="only faults that a process survives: for leaks"
    )
    parser.add_argument("--report", type=Path, default=Path("build/soak"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        names = options.only or [one.name for one in FAULTS if not (options.gentle and one.ends)]
        soak = Soak(Path(folder), options.minutes, options.seed, names)
        try:
            report = soak.run()
        finally:
            story = soak.site.story()
            soak.callers.close()
            soak.site.close()
    options.report.mkdir(parents=True, exist_ok=True)
    (options.report / "soak.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.report / "soak.txt").write_text(text_of(report))
    (options.report / "story.txt").write_text(story)
    say(text_of(report))
    return 1 if report["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
