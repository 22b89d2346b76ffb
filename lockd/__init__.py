"""lockd: a door that knows its people."""

from importlib.metadata import version

__version__ = version("lockd")
