"""What README.md has one type, typed: every command works, in its order."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, free_port
from tests.patience import PATIENCE_S

README = (ROOT / "README.md").read_text("utf-8")
PORT = "18830"


def commands(heading: str) -> list[str]:
    """The indented lines of a section, without their remarks."""
    section = README.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    return [re.sub(r"\s+# .*", "", line) for line in lines]


@pytest.mark.slow
def test_what_one_tries_works_in_its_order(tmp_path: Path) -> None:
    typed = commands("Trying it")
    assert len(typed) > 10
    assert typed[0].startswith("sudo apt-get install"), "which `make test` has done"
    port = str(free_port())
    for name in ("demo", "models"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "config").mkdir()
    settings = (ROOT / "config" / "try.yaml").read_text("utf-8")
    assert PORT in settings
    (tmp_path / "config" / "try.yaml").write_text(settings.replace(PORT, port))
    broker = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    lines = [line.replace(PORT, port) for line in typed[1:]]
    # In the foreground of the shell, so that it ends with the test.
    lines = [line.replace("/usr/sbin/mosquitto -d", f"{broker} -d") for line in lines]
    script = "\n".join(["set -e", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT", *lines])
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE_S,
        check=False,
    )
    subprocess.run(["pkill", "-f", f"mosquitto -d -p {port}"], check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lockd/porch/availability online" in done.stdout
    assert "result: ok" in done.stdout
    assert "Traceback" not in done.stderr
    assert (tmp_path / "try" / "seen.mp4").stat().st_size > 10_000
