"""`lockd install` and `lockd uninstall`: a Raspberry Pi made ready for the door, and cleared again.

This package, but for its commands, imports nothing outside Python's own library: from a fresh
checkout, `tools/install.sh` runs it before anything else is installed.
"""
