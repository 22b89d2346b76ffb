"""Kills dpkg in the midst of installing and updating Debian's package, at random moments.

    python3 tools/kill_deb.py ROOT OLD NEW [--kills N] [--seed S]

ROOT is a Debian in which OLD, a package's path within it, is installed; NEW is another one there.
Each time a layer over it, in memory, is updated (each fourth time: lockd is installed anew), with a
systemctl that only remembers what runs, and all of dpkg is killed at once, as by a power cut. Then

- the program is wholly OLD, wholly NEW or not there at all; or the units do not start it
  (ExecCondition=);
- the service was stopped, which locks the door, before the first file was another;
- `dpkg --configure -a` and `dpkg -i`, or `apt-get --reinstall install`, bring NEW, the owner's
  configuration and people, and a service that runs if it did before.

Needs root.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

HOME = "usr/lib/lockd"
ENDS = (f"{HOME}/0-begins", f"{HOME}/z-ends")
PURGE = ("dpkg", "--purge", "lockd")
STATE = "run/state.lockd.service"
SYSTEMCTL = """\
#!/bin/sh
# Stands for systemd: remembers what runs.
for word; do
    case $word in -*) ;; *.service) unit=$word ;; *) verb=${verb:-$word} ;; esac
done
case $verb in
start | restart) echo active >/run/state.$unit ;;
stop) echo inactive >/run/state.$unit ;;
is-enabled) echo enabled ;;
show) echo LoadState=loaded ;;
is-active)
    state=$(cat /run/state.$unit 2>/dev/null || echo inactive)
    echo "$state"
    [ "$state" = active ]
    ;;
esac
"""


class WrongError(Exception):
    """What must not be."""


class Machine:
    """A Debian in a folder, which may be a layer over others."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Run a program in there, in a group of its own."""
        clean = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive",
        }  # fmt: skip
        return subprocess.Popen(
            ["chroot", str(self.root), *command], env=clean, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, *command: str) -> str:
        """Run it to its end, and return what it says."""
        process = self.start(*command)
        said, _ = process.communicate()
        if process.returncode:
            raise WrongError(f"{' '.join(command)}: {process.returncode}\n{said}")
        return said

    def runs(self) -> bool:
        """Return whether the service does, as far as systemctl was told."""
        file = self.root / STATE
        return file.exists() and file.read_text() == "active\n"

    def has(self, sums: Path) -> bool:
        """Return whether the program is wholly the one with these sums."""
        done = subprocess.run(
            ["md5sum", "--check", "--quiet", "--strict", sums],
            cwd=self.root, capture_output=True, check=False,
        )  # fmt: skip
        return done.returncode == 0

    def would_start(self) -> bool:
        """Return what the units' ExecCondition= says."""
        first, last = (self.root / one for one in ENDS)
        return first.exists() and last.exists() and first.read_bytes() == last.read_bytes()

    def owners(self) -> str:
        """Return what the owner has put in: configuration and people."""
        self.run("lockd", "store", "check")
        return self.run("cat", "/etc/lockd/lockd.yaml") + self.run("lockd-enroll", "list", "--json")


@contextmanager
def layer(lower: Sequence[Path], folder: Path) -> Iterator[Machine]:
    """Put an empty layer over some folders."""
    for one in ("upper", "work", "root"):
        (folder / one).mkdir()
    options = f"lowerdir={':'.join(map(str, lower))},upperdir={folder}/upper,workdir={folder}/work"
    root = folder / "root"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, root], check=True)
    mounted = [root]
    try:
        subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], check=True)
        mounted.append(root / "proc")
        yield Machine(root)
    finally:
        for one in reversed(mounted):
            subprocess.run(["umount", "--lazy", one], check=True)


def with_systemd(machine: Machine) -> None:
    """Make as if there were one, and the service ran."""
    (machine.root / "run/systemd/system").mkdir(parents=True)
    (machine.root / "usr/sbin/policy-rc.d").unlink(missing_ok=True)
    systemctl = machine.root / "usr/bin/systemctl"
    systemctl.unlink()
    systemctl.write_text(SYSTEMCTL)
    systemctl.chmod(0o755)


def sums_of(package: Path, folder: Path) -> set[str]:
    """Return the sums of a package's program, in lines as `md5sum --check` reads them."""
    subprocess.run(["dpkg-deb", "--control", package, folder], check=True)
    return {one for one in (folder / "md5sums").read_text().splitlines() if f"  {HOME}/" in one}


def written(lines: Iterable[str], file: Path) -> Path:
    """Return a file of these lines."""
    file.write_text("".join(f"{one}\n" for one in sorted(lines)))
    return file


def wait(
    chance: random.Random, machine: Machine, process: subprocess.Popen[str], longest_s: float
) -> None:
    """Wait until a random moment, rather an early one; each third time while files are renamed.

    The later half of an update compiles what is in place.
    """
    end = time.monotonic() + chance.random() ** 2 * longest_s
    if chance.random() < 1 / 3:
        beside = machine.root / f"{ENDS[0]}.dpkg-new"
        while process.poll() is None and not beside.exists():
            time.sleep(0.002)
        while process.poll() is None and beside.exists():
            time.sleep(0.0005)
        end = time.monotonic() + chance.uniform(0, 0.4)
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.002)


def judge(machine: Machine, sums: Sequence[Path], *, updating: bool) -> str:
    """Return what was left, in a word or two."""
    wholes = [name for name, one in zip(("old", "new"), sums, strict=True) if machine.has(one)]
    there = "none" if not (machine.root / HOME / "bin/lockd").exists() else "half"
    found = wholes[0] if wholes else there
    if found == "half" and machine.would_start():
        raise WrongError("half of one and half of another, and the units would start it")
    if machine.runs() and (found not in ("old", "new") or (found == "old" and not updating)):
        raise WrongError(f"the service runs, and its program is {found}")
    if found in ("old", "new"):
        machine.run("lockd", "--version")
    return f"{found}, {'running' if machine.runs() else 'stopped'}"


def main() -> int:
    """Kill, look, mend; print what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("root", type=Path)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 100000)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    print(f"seed {asked.seed}", flush=True)
    update = ("dpkg", "--force-confold", "--force-unsafe-io", "-i", asked.new)
    with tempfile.TemporaryDirectory(prefix="kill-deb-") as name:
        work = Path(name)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6g", "tmpfs", work], check=True)
        try:
            return _all(asked, chance, update, work)
        finally:
            subprocess.run(["umount", "--lazy", work], check=True)


def _all(
    asked: argparse.Namespace, chance: random.Random, update: Sequence[str], work: Path
) -> int:
    old, new = (
        sums_of(asked.root / one.lstrip("/"), work / f"sums{number}")
        for number, one in enumerate((asked.old, asked.new))
    )
    # An update changes what is in one of them alone; what is in both is so whatever happens.
    changed = [written(one, work / f"changed{n}") for n, one in enumerate((old - new, new - old))]
    whole = [written(one, work / f"whole{n}") for n, one in enumerate((old, new))]
    (work / "without").mkdir()
    with layer([asked.root], work / "without") as machine:
        before = machine.owners()
        machine.run(*PURGE)
    lowers = {True: [asked.root], False: [work / "without/upper", asked.root]}
    longest: dict[bool, float] = {}
    seen: Counter[str] = Counter()
    for turn in range(-2, asked.kills):
        updating = turn == -1 or (turn >= 0 and turn % 4 > 0)
        folder = work / "turn"
        folder.mkdir()
        with layer(lowers[updating], folder) as machine:
            with_systemd(machine)
            sums = changed if updating else whole
            if updating:
                (machine.root / STATE).write_text("active\n")
            began = time.monotonic()
            process = machine.start(*update)
            if turn < 0:
                said, _ = process.communicate()
                longest[updating] = time.monotonic() - began
                if process.returncode:
                    raise WrongError(said)
            else:
                wait(chance, machine, process, longest[updating])
                at = time.monotonic() - began
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                found = judge(machine, sums, updating=updating)
                seen[f"{'update' if updating else 'installation'}: {found}"] += 1
                when = f"{at:.2f} s of {longest[updating]:.1f}"
                print(f"{turn + 1}: killed after {when}: {found}", flush=True)
                _mend(machine, asked.new, by_apt=turn % 5 == 0)
            if not machine.has(sums[1]) or (updating and not machine.runs()):
                raise WrongError("it is not the new version, or does not run again")
            if updating and machine.owners() != before:
                raise WrongError("configuration or people are others than before")
        shutil.rmtree(folder)
    for what, times in sorted(seen.items()):
        print(f"{times} x {what}")
    return 0


def _mend(machine: Machine, new: str, *, by_apt: bool) -> None:
    machine.start("dpkg", "--force-confold", "--configure", "-a").communicate()
    if by_apt:
        confold = ("-o", "Dpkg::Options::=--force-confold")
        machine.run("apt-get", "-qq", "-y", *confold, "--reinstall", "install", new)
    else:
        machine.run("dpkg", "--force-confold", "--force-unsafe-io", "-i", new)


if __name__ == "__main__":
    sys.exit(main())
