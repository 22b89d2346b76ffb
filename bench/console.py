"""What the console costs: the loop that looks and decides, memory, and whoever waits for a page.

    python -m bench.console [--rounds 6] [--seconds 10] [--viewers 3]

A service with one camera (640x480, somebody enrolled before it) and the console as a process of
its own. In turns nobody looks, and so many watch the live picture: what is compared is the
processor time of the judging thread, of frames and of all else that it does, so it holds on a
machine that does other things too. Of the console's pages the processor time of the console is
told, and, in Debian's Chromium if it is there, from the click to the page's `load`.
"""

from __future__ import annotations

import argparse
import getpass
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from lockd.config import Settings
from lockd.remote.roles import Role
from lockd.service.assembly import SWITCH_S, open_service
from lockd.service.service import Service
from lockd.web.accounts import Accounts
from tests.conftest import PEOPLE, PHOTOS, free_port
from tests.patience import eventually
from tests.porch import StreamCamera, filmed, porch

PASSWORD = "correct horse battery"
PAGES = ("/", "/visits", "/people", "/people/add", "/people/alike", "/recognise", "/health",
         "/account")  # fmt: skip
VIEWER = """
import sys, httpx
with httpx.stream("GET", sys.argv[1] + "/api/v1/live", timeout=None,
                  headers={"Authorization": "Bearer " + sys.argv[2]}) as answer:
    for _ in answer.iter_raw():
        pass
"""


class Loop:
    """The judging thread's processor time, by phase: of frames, and of what else it does."""

    def __init__(self, service: Service) -> None:
        self.phase = ""
        self.frames: dict[str, list[float]] = {}
        self.others: dict[str, float] = {}
        self._service = service
        self._step = service.step
        self._asked_s = 0.0
        console = service.local_commands.console
        assert console is not None
        self._take = console.take
        console.take = self.take  # type: ignore[method-assign]
        service.step = self.step  # type: ignore[method-assign]

    def step(self) -> None:
        phase, judged, began = self.phase, self._service.tally.judged, time.thread_time()
        self._asked_s = 0.0
        self._step()
        took = time.thread_time() - began
        if self._service.tally.judged > judged:
            self.frames.setdefault(phase, []).append(took - self._asked_s)
            took = self._asked_s
        self.others[phase] = self.others.get(phase, 0.0) + took

    def take(self, *request: Any) -> None:
        began = time.thread_time()
        self._take(*request)
        self._asked_s += time.thread_time() - began


def spent_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise KeyError(name)


def settings_of(folder: Path, camera: StreamCamera, port: int) -> Settings:
    return Settings.model_validate({
        "door": {"id": "front", "lock_out": {"denials": 0}},
        "camera": {"source": camera.url},
        "liveness": {"policy": "off"},
        "relay": {"factory": "mock"},
        "recognition": {"profile": "light", "threads": 1, "rejudge_s": 0.01},
        "store": {"folder": str(folder / "store")},
        "console": {"socket": str(folder / "console"), "user": getpass.getuser(), "port": port},
    }, strict=False)  # fmt: skip


def start_console(folder: Path, stack: ExitStack) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([
        sys.executable, "-P", "-m", "lockd", "console", "run", "--socket", str(folder / "console"),
        "--state", str(folder / "state"),
    ], stderr=subprocess.DEVNULL)  # fmt: skip
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def answers(base: str) -> bool:
    try:
        return httpx.get(f"{base}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def compare(loop: Loop, base: str, token: str, options: argparse.Namespace) -> None:
    lasted = dict.fromkeys(("alone", "watched"), 0.0)

    def phase(name: str) -> None:
        loop.phase, began = name, time.monotonic()
        time.sleep(options.seconds)
        loop.phase = ""
        lasted[name] += time.monotonic() - began

    for _ in range(options.rounds):
        phase("alone")
        viewers = [
            subprocess.Popen([sys.executable, "-c", VIEWER, base, token])
            for _ in range(options.viewers)
        ]
        time.sleep(3.0)
        phase("watched")
        for one in viewers:
            one.kill()
            one.wait()
        time.sleep(1.0)
    per_frame = {name: statistics.median(loop.frames[name]) * 1e3 for name in lasted}
    others = {name: loop.others[name] / lasted[name] for name in lasted}
    print(
        f"the judging thread, alone and with {options.viewers} viewers, processor time: a frame "
        f"{per_frame['alone']:.2f} and {per_frame['watched']:.2f} ms ({len(loop.frames['alone'])} "
        f"and {len(loop.frames['watched'])} frames); all else {1e3 * others['alone']:.1f} and "
        f"{1e3 * others['watched']:.1f} ms a second: viewers take "
        f"{100 * (others['watched'] - others['alone']):.2f} % of its time"
    )


def pages(base: str, console: int) -> None:
    with httpx.Client(base_url=base, timeout=60) as client:
        before = spent_s(console)
        client.post("/login", data={"name": "ada", "password": PASSWORD})
        print(
            f"a login: {1e3 * (spent_s(console) - before):.0f} ms of the console's processor time"
        )
        for path in PAGES:
            client.get(path)
            before, turns = spent_s(console), 50
            for _ in range(turns):
                assert client.get(path).status_code == 200
            print(
                f"{path:16} {1e3 * (spent_s(console) - before) / turns:5.1f} ms of processor time"
            )


def in_chromium(base: str) -> None:
    found = shutil.which("chromium")
    if found is None:
        return
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(base_url=base, viewport={"width": 1280, "height": 800})
        page.goto("/login")
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/")
        for path in PAGES:
            took = []
            for _ in range(11):
                page.goto(path)
                took.append(page.evaluate(
                    "performance.getEntriesByType('navigation')[0].loadEventEnd"))  # fmt: skip
            print(f"{path:16} ready in {statistics.median(took):.0f} ms, at most {max(took):.0f}")
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--viewers", type=int, default=3)
    options = parser.parse_args()
    sys.setswitchinterval(SWITCH_S)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        camera = StreamCamera(filmed(porch(PHOTOS / "barack-obama.jpg")), fps=5)
        stack.callback(camera.close)
        port = free_port()
        settings, base = settings_of(folder, camera, port), f"http://127.0.0.1:{port}"
        config = folder / "lockd.yaml"
        config.write_text(f"recognition: {{profile: light}}\nstore: {{folder: {folder}/store}}\n")
        enrolled = [
            sys.executable,
            "-P",
            "-m",
            "enroll",
            "folder",
            str(PEOPLE),
            "--config",
            str(config),
        ]
        subprocess.run(enrolled, check=True, stdout=subprocess.DEVNULL)
        accounts = Accounts(folder / "state")
        accounts.add_user("ada", PASSWORD, Role.ADMINISTRATOR)
        token = accounts.add_token("viewer", Role.VIEWER)
        parts = stack.enter_context(ExitStack())
        service = open_service(settings, parts)
        loop = Loop(service)
        failed: list[BaseException] = []

        def measure() -> None:
            try:
                with ExitStack() as own:
                    console = start_console(folder, own)
                    eventually(lambda: answers(base))
                    print(f"the console, started: {memory_mb(console.pid, 'VmRSS'):.1f} MB")
                    compare(loop, base, token, options)
                    pages(base, console.pid)
                    print(f"the console, used: {memory_mb(console.pid, 'VmRSS'):.1f} MB, "
                          f"at most {memory_mb(console.pid, 'VmHWM'):.1f} MB")  # fmt: skip
                    in_chromium(base)
            except BaseException as error:  # told below, in the main thread
                failed.append(error)
            finally:
                service.stop()

        measuring = threading.Thread(target=measure)
        measuring.start()
        service.run()
        measuring.join()
        if failed:
            raise failed[0]


if __name__ == "__main__":
    main()
