"""lockd: a door that knows its people."""

from importlib import metadata

try:
    __version__ = metadata.version("lockd")
except metadata.PackageNotFoundError:  # a checkout that is not installed: `tools/install.sh`
    __version__ = "0+unknown"
