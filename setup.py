"""Packaging: everything but the data files is declared in pyproject.toml.

Models, configuration and the demo live beside the package in the source tree and
under ``<prefix>/share/lockd`` once installed; ``lockd.paths`` looks in both.
"""

from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent
SHARE = "share/lockd"
# What a run needs from each folder; how the files were built stays in the source tree.
WANTED = {
    "models": ["*.tflite", "manifest.json", "fetched.json", "README.md"],
    "config": ["*.yaml", "home_assistant/*", "mosquitto/*", "voice/*/*"],
    "systemd": ["*"],
    "demo": ["porch.*", "ATTRIBUTION.md", "people/*/*.jpg"],
}


def data_files() -> list[tuple[str, list[str]]]:
    """Return (installed folder, source files) pairs, one for each folder."""
    folders: dict[str, list[str]] = {}
    for patterns in [[f"{top}/{name}" for name in names] for top, names in WANTED.items()]:
        for pattern in patterns:
            for file in sorted(ROOT.glob(pattern)):
                if file.is_file():
                    relative = file.relative_to(ROOT)
                    folders.setdefault(f"{SHARE}/{relative.parent}", []).append(str(relative))
    return sorted(folders.items())


setup(data_files=data_files())
