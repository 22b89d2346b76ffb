"""The virtual environment that the service runs from: root's, complete, and switched at once.

The service opens a door, so nobody but root may change its program: it does not run from
a checkout in somebody's home. Each version is built in a folder of its own below
`/opt/lockd/releases`; when it is complete the link `/opt/lockd/.venv` is pointed at it.
So an update that fails, or is cut short, leaves the old one as it was, and at no moment
is there no `lockd relay-safe` for the service manager to lock the door with.

On Raspberry Pi OS lgpio and picamera2 are the distribution's, so the environment sees the
distribution's packages if lgpio is one of them; anywhere else pip brings lgpio.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lockd.commands.install import lock
from lockd.commands.install.system import System
from lockd.errors import InstallError

HOME = "/opt/lockd"
LINK = f"{HOME}/.venv"
RELEASES = f"{HOME}/releases"
PREVIOUS = f"{HOME}/.previous"
"""Leads to the release that was in use before, for `lockd rollback`."""
COMMANDS = {name: f"/usr/local/bin/{name}" for name in ("lockd", "lockd-enroll")}
_COMPLETE = ".complete"
PARTS = (
    "pyproject.toml", "requirements.lock", "setup.py", "README.md", "LICENSE",
    "lockd", "enroll", "models", "config", "systemd", "demo",
)  # fmt: skip
"""What lockd is built of."""
_LEFT_OUT = ("__pycache__", "*.egg-info", "build")


def source_tree() -> Path | None:
    """Return the checkout that this code lies in, or None if it is installed."""
    tree = Path(__file__).resolve().parents[3]
    return tree if (tree / "pyproject.toml").exists() else None


def put_environment(system: System, wheels: Path | None, *, with_console: bool = False) -> bool:
    """Build this lockd's environment unless it is there, and return whether it was not.

    Args:
        wheels: a folder with every wheel that is needed, instead of the network.
        with_console: what the console needs, too.

    Raises:
        InstallError: if it cannot be built; the one before stays in use.
    """
    if not system.live:
        system.note(
            f"{LINK} is not made below another root: run `lockd install` in there, with chroot"
        )
        return False
    tree = source_tree()
    if tree is None:
        return _keep_current(system)
    release = f"{RELEASES}/{fingerprint(tree)}{'-console' if with_console else ''}"
    made = not system.has(f"{release}/{_COMPLETE}")
    if made:
        _build(system, tree, release, wheels, ["console"] if with_console else [])
    before = _target(system, LINK)
    if before not in (None, release):
        system.link(PREVIOUS, str(before))
    return system.link(LINK, release) or made


def swap(system: System) -> str:
    """Make the release of before the one in use, and the other way round; return it.

    Raises:
        InstallError: if there is none.
    """
    current, before = _target(system, LINK), _target(system, PREVIOUS)
    if current is None or before is None or not system.has(f"{before}/{_COMPLETE}"):
        raise InstallError(f"no version before this one is kept in {RELEASES}")
    system.link(LINK, before)
    system.link(PREVIOUS, current)
    return before


def _target(system: System, link: str) -> str | None:
    path = system.path(link)
    return os.readlink(path) if path.is_symlink() else None


def drop_old_releases(system: System) -> None:
    """Remove every release but those in use and of before, and what a cut-short update left."""
    folder = system.path(RELEASES)
    if system.dry_run or not (folder.is_dir() and system.has(LINK)):
        return
    kept = [Path(one).name for link in (LINK, PREVIOUS) if (one := _target(system, link))]
    for release in sorted(folder.iterdir()):
        if release.name not in kept:
            system.remove(f"{RELEASES}/{release.name}")


def remove_environment(system: System) -> None:
    """Remove the commands, the link and every release."""
    for name, path in COMMANDS.items():
        if os.path.islink(system.path(path)):
            target = os.readlink(system.path(path))
            if target == f"{LINK}/bin/{name}":
                system.remove(path)
    system.remove(LINK)
    system.remove(PREVIOUS)
    system.remove(RELEASES)
    system.remove_if_empty(HOME)


def put_commands(system: System) -> None:
    """Make `lockd` and `lockd-enroll` commands of everybody's."""
    for name, path in COMMANDS.items():
        if system.has(path) and not system.path(path).is_symlink():
            system.note(f"{path} is not lockd's link and stays; the command is {LINK}/bin/{name}")
        else:
            system.link(path, f"{LINK}/bin/{name}")


def _keep_current(system: System) -> bool:
    """Accept the environment that this very program runs from, and no other."""
    if os.path.realpath(sys.prefix) == os.path.realpath(system.path(LINK)):
        return False
    raise InstallError(
        f"this lockd runs from {sys.prefix} and has no source tree to install from; "
        "run tools/install.sh of a checkout"
    )


def fingerprint(tree: Path) -> str:
    """Return a name for exactly these files and this machine's Python."""
    digest = hashlib.sha256(f"{_python()} {sys.version}".encode())
    for part in PARTS:
        files = [tree / part] if (tree / part).is_file() else sorted((tree / part).rglob("*"))
        for file in files:
            if file.is_file() and not any(file.match(f"{one}/*") for one in _LEFT_OUT):
                digest.update(f"{file.relative_to(tree)}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _build(
    system: System, tree: Path, release: str, wheels: Path | None, extras: list[str]
) -> None:
    """Make the environment and install into it, from a copy: pip leaves files behind."""
    path = system.path(release)
    if system.dry_run:
        system.report("", f"build {release} with {_python()}, which takes minutes")
        return
    system.note(f"building {release}; this takes some minutes")
    os.umask(0o022)  # the service's user must be able to read it
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    shared = _distribution_has_lgpio(environment)
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    options = ["--system-site-packages"] if shared else []
    extras = [*extras, "display"] if shared else [*extras, "display", "pi"]
    offline = ["--no-index", "--find-links", str(wheels)] if wheels else []
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-cache-dir"]
    with tempfile.TemporaryDirectory(prefix="lockd-install-") as folder:
        copy = Path(folder) / "lockd"
        _copy(tree, copy)
        system.run(_python(), "-m", "venv", *options, release, environment=environment)
        locked = Path(folder) / "locked.txt"
        locked.write_text(lock.requirements(tree, lock.BUILD, *extras))
        pip = f"{release}/bin/python", "-m", "pip", "install", *quiet, *offline
        system.run(*pip, "--require-hashes", "--requirement", str(locked), environment=environment)
        system.run(
            *pip, "--no-deps", "--no-build-isolation", "--no-index", str(copy),
            environment=environment,
        )  # fmt: skip
    (path / _COMPLETE).touch()


def _copy(tree: Path, folder: Path) -> None:
    folder.mkdir()
    for part in PARTS:
        if (tree / part).is_dir():
            shutil.copytree(tree / part, folder / part, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        elif (tree / part).exists():
            shutil.copy(tree / part, folder / part)


def _python() -> str:
    """Return the distribution's Python, whose packages its lgpio is one of, or else this one's."""
    system = "/usr/bin/python3"
    new_enough = [system, "-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"]
    try:
        good = subprocess.run(new_enough, capture_output=True, check=False).returncode == 0
    except OSError:
        good = False
    return system if good else str(getattr(sys, "_base_executable", sys.executable))


def _distribution_has_lgpio(environment: dict[str, str]) -> bool:
    question = "import importlib.util as u, sys; sys.exit(u.find_spec('lgpio') is None)"
    asked = [_python(), "-c", question]
    return subprocess.run(asked, capture_output=True, check=False, env=environment).returncode == 0
