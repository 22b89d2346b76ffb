"""What can go wrong, each with the exit code its command ends with.

Every error also derives from the builtin a caller would expect, so that
``except ValueError`` keeps working for code that knows nothing of lockd.
A message names the thing, the value and the way out.
"""

from __future__ import annotations

from lockd.types import CameraTrouble


class LockdError(Exception):
    """Anything lockd reports to a person instead of with a traceback."""

    exit_code = 1


class ConfigError(LockdError, ValueError):
    """The configuration has mistakes; the message lists every one with its path."""

    exit_code = 3


class ModelError(LockdError, RuntimeError):
    """A model file or the manifest is missing, altered or unusable."""

    exit_code = 4


class StoreError(LockdError, OSError):
    """The store cannot be read or written."""

    exit_code = 5


class CameraError(LockdError, OSError):
    """A camera, video or folder cannot be opened or read.

    Attributes:
        trouble: the kind of it, in one stable word.
    """

    exit_code = 6

    def __init__(self, message: str, trouble: CameraTrouble = CameraTrouble.FAILING) -> None:
        super().__init__(message)
        self.trouble = trouble


class PinError(LockdError, RuntimeError):
    """The relay's pin cannot be driven as configured."""

    exit_code = 7


class ImageError(LockdError, ValueError):
    """A photograph cannot be read, or shows no usable face."""

    exit_code = 8


class PersonError(LockdError, ValueError):
    """A person's name cannot be used, or nobody of that name is enrolled."""

    exit_code = 9


class BusError(LockdError, OSError):
    """The MQTT settings cannot work, whatever the network does."""

    exit_code = 10


class InstallError(LockdError, OSError):
    """The system cannot be changed as an installation needs it."""

    exit_code = 11


class ControlError(LockdError, OSError):
    """The running service cannot be asked, or cannot be made to listen."""

    exit_code = 12
