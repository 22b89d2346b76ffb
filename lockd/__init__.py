"""lockd: a door that knows its people."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    # Looked up when asked for: it takes longer than all that `lockd relay-safe` does.
    if name == "__version__":
        from importlib import metadata  # noqa: PLC0415

        try:
            return metadata.version("lockd")
        except metadata.PackageNotFoundError:  # not installed: `tools/install.sh`
            return "0+unknown"
    raise AttributeError(name)
