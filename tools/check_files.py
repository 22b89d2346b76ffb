"""Holds files to what every file here has to be; `.pre-commit-config.yaml` calls it.

    python tools/check_files.py FILE...
    git ls-files -z | xargs -0 python tools/check_files.py

A line for each mistake, and exit code 1 if there is one.
"""

from __future__ import annotations

import fnmatch
import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath

import yaml

ROOT = Path(__file__).resolve().parent.parent
MOST_BYTES = 200_000
# What the demonstration and the door cannot do without.
LARGE = ("models/*.tflite", "demo/porch.mp4", "requirements.lock")
PICTURES = {".bmp", ".gif", ".heic", ".jpeg", ".jpg", ".mp4", ".png", ".tif", ".tiff", ".webp"}
TERMS = "ATTRIBUTION.md"


class _Loader(yaml.SafeLoader):
    """YAML with tags of other programs in it, such as Home Assistant's `!input`."""


_Loader.add_multi_constructor("!", lambda loader, suffix, node: f"!{suffix}")

PARSERS: Mapping[str, Callable[[str], object]] = {
    ".json": json.loads,
    ".toml": tomllib.loads,
    ".yaml": lambda text: yaml.load(text, _Loader),
    ".yml": lambda text: yaml.load(text, _Loader),
}


def mistakes(name: str, root: Path = ROOT) -> Iterator[str]:
    """Yield what is wrong with a file.

    Args:
        name: of the file, relative to the root.
        root: of the repository.
    """
    content = (root / name).read_bytes()
    if len(content) > MOST_BYTES and not any(fnmatch.fnmatch(name, large) for large in LARGE):
        yield (
            f"{len(content)} bytes: at most {MOST_BYTES} are kept here; make it smaller, or name "
            "it in LARGE of tools/check_files.py with the reason"
        )
    if PurePath(name).suffix.lower() in PICTURES:
        if not has_terms(name, root):
            yield f"a picture whose source and terms no {TERMS} beside or above it tells"
    elif b"\0" not in content and PurePath(name).suffix != ".svg":  # drawn by our commands
        yield from mistakes_of_text(name, content)


def mistakes_of_text(name: str, content: bytes) -> Iterator[str]:
    try:
        text = content.decode()
        PARSERS.get(PurePath(name).suffix, str)(text)
    except (ValueError, yaml.YAMLError) as error:
        yield f"cannot be read: {error}"
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip():
            yield f"line {number} ends with white space"
    if text and not text.endswith("\n"):
        yield "no line feed at its end"


def has_terms(name: str, root: Path) -> bool:
    """Return whether a file of terms names a picture, as `it is called` or by a pattern."""
    for folder in PurePath(name).parents:
        terms = root / folder / TERMS
        if terms.is_file():
            called = PurePath(name).relative_to(folder).as_posix()
            patterns = re.findall(r"`([^`]+)`", terms.read_text("utf-8"))
            return any(fnmatch.fnmatch(called, pattern) for pattern in patterns)
    return False


def main(names: list[str]) -> int:
    """Print every mistake; return the exit code."""
    found = [f"{name}: {one}" for name in names for one in mistakes(name)]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
