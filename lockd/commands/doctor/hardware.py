"""The board: what it is, its memory, warmth, power, disk and clock."""

from __future__ import annotations

import platform
import time

from lockd.adapters.wallclock import WallClock
from lockd.commands.doctor.findings import Finding, Machine, ok, problem, run, skipped, warning

_MODEL = "/proc/device-tree/model"
_THROTTLED = "/sys/devices/platform/soc/soc:firmware/get_throttled"
_WARMTH = "/sys/class/thermal/thermal_zone0/temp"
_HOT_C = 80.0  # a Pi slows itself down from here on
_LEAST_MEMORY_MB = 900


def board(machine: Machine) -> list[Finding]:
    """Say what machine this is, and whether it is big enough."""
    model = machine.text(_MODEL)
    kernel = platform.machine()
    text = f"{model or 'not a Raspberry Pi'}, {kernel}, Linux {platform.release()}"
    findings = [ok(text)]
    if kernel not in ("aarch64", "x86_64"):
        mend = "the TFLite runtime exists for 64 bit only: install the 64-bit Raspberry Pi OS"
        findings = [problem(text, mend)]
    findings.append(_memory(machine))
    return findings


def _memory(machine: Machine) -> Finding:
    fields = {
        name: int(rest.split()[0]) // 1024
        for name, _, rest in (
            line.partition(":") for line in (machine.text("/proc/meminfo") or "").splitlines()
        )
        if rest.split()
    }
    if "MemTotal" not in fields:
        return skipped("memory: /proc/meminfo cannot be read")
    total, swap = fields["MemTotal"], fields.get("SwapTotal", 0)
    text = f"memory: {total} MB, {fields.get('MemAvailable', 0)} MB free, {swap} MB swap"
    if total < _LEAST_MEMORY_MB and swap < _LEAST_MEMORY_MB - total:
        return warning(text, "little for recognition; set recognition.profile: light, or add swap")
    return ok(text)


def power(machine: Machine) -> list[Finding]:
    """Look for a weak supply and for heat, of which a Pi keeps book."""
    findings = []
    celsius = machine.text(_WARMTH)
    if celsius and celsius.lstrip("-").isdecimal():
        degrees = int(celsius) / 1000
        text = f"{degrees:.0f} degrees C"
        mend = "it slows down; give it a heat sink, a fan, or a cooler place"
        findings.append(warning(text, mend) if degrees >= _HOT_C else ok(text))
    flags = _throttled(machine)
    if flags is None:
        findings.append(skipped("power: only a Raspberry Pi tells"))
    elif flags & 0x1:
        findings.append(
            problem("the supply is too weak just now", "use the official supply and a short cable")
        )
    elif flags & 0xF000F:
        findings.append(
            warning(
                f"weak supply or heat since the start (flags {flags:#x})",
                "use the official supply and a short cable; see `vcgencmd get_throttled`",
            )
        )
    else:
        findings.append(ok("the supply was never too weak since the start"))
    return findings


def _throttled(machine: Machine) -> int | None:
    """Return the firmware's flags, or None where there is no such firmware."""
    said = machine.text(_THROTTLED)
    if said is None:
        answer = run("vcgencmd", "get_throttled")
        said = answer.stdout.partition("=")[2] if answer and answer.returncode == 0 else ""
    try:
        return int(said.strip(), 16)
    except ValueError:
        return None


def clock(machine: Machine) -> list[Finding]:
    """Ask as the service does whether the clock is right; access rules and records need it."""
    now = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    wall = WallClock(machine.settings.access)
    if wall.local() is not None:
        return [ok(f"{now}, known to be right")]
    mend = "let it be set: `sudo timedatectl set-ntp true`, or add a real-time clock to the board"
    rules = machine.settings.access.rules()
    judge = problem if rules.timed else warning
    return [judge(f"{now}: {wall.problem}", mend)]
