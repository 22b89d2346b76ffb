"""Instructions of each stage on the processors of a Raspberry Pi 4 and 5. See run.sh.

A program is run twice, doing a thing once and several times more: the difference over the number of
times is what it costs, and loading cancels out. It is no time. What it would mean for a Pi is an
estimate: one instruction a clock cycle, on one core. Real ones differ with the memory, the heat and
the mix of instructions, by a factor of two either way.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from bench.arm.names import STAGES

HERE = Path(__file__).resolve().parent
CPUS = {
    "a72": ("0xd08", "fp asimd evtstrm crc32 cpuid", 1.8e9, "Pi 4"),
    "a76": (
        "0xd0b",
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc "
        "dcpop asimddp",
        2.4e9,
        "Pi 5",
    ),
}
"""Part number and features as Linux tells them, clock in Hz, and the board."""
TIMES = 4


def tell_of(tree: Path, cpu: str) -> None:
    """Let programs in the tree read which processor they run on."""
    part, features, _, _ = CPUS[cpu]
    one = (
        f"Features\t: {features}\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
        f"CPU variant\t: 0x0\nCPU part\t: {part}\nCPU revision\t: 3\n\n"
    )
    text = "".join(f"processor\t: {number}\n{one}" for number in range(4))
    (tree / "root/proc/cpuinfo").write_text(text)


def executed(tree: Path, cpu: str, stage: str, times: int) -> int:
    """How many instructions a run takes, loading included."""
    command = [
        *("qemu-aarch64", "-cpu", f"cortex-{cpu}", "-L", tree / "root"),
        *("-plugin", tree / "instructions.so", tree / "root/usr/bin/python3.11"),
        *(HERE / "stages.py", stage, str(times)),
    ]
    paths = f"{HERE.parents[1]}:{tree / 'site'}"
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    found = re.search(r"^instructions (\d+)$", done.stderr, re.MULTILINE)
    if done.returncode or found is None:
        sys.exit(f"error: {stage} on {cpu}: {done.stderr[-2000:]}")
    return int(found[1])


def main() -> None:
    options = argparse.ArgumentParser(prog="bench/arm/run.sh", description=__doc__)
    options.add_argument("tree", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--stage", action="append", choices=STAGES, help="only this; repeatable")
    options.add_argument("--json", type=Path, help="write the counts")
    chosen = options.parse_args()
    counts: dict[str, dict[str, int]] = {}
    print(f"{'M instructions':28}" + "".join(f"{cpu:>8}" for cpu in CPUS), end="")
    print("   estimate, one core at one instruction a cycle")
    for stage in chosen.stage or STAGES:
        own = counts.setdefault(stage, {})
        for cpu in CPUS:
            tell_of(chosen.tree, cpu)
            few, many = (executed(chosen.tree, cpu, stage, n) for n in (1, 1 + TIMES))
            own[cpu] = round((many - few) / TIMES)
        figures = "".join(f"{own[cpu] / 1e6:8.1f}" for cpu in CPUS)
        guess = ", ".join(
            f"{board} {1e3 * own[cpu] / clock:.0f} ms" for cpu, (_, _, clock, board) in CPUS.items()
        )
        print(f"{stage:28}{figures}   {guess}", flush=True)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(counts, indent=2) + "\n")


if __name__ == "__main__":
    main()
