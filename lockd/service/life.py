"""What the service manager hears: that it is up, that it goes on, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lockd.adapters.strike import Strike
from lockd.adapters.systemd import Notifier
from lockd.errors import LockdError, PinError
from lockd.ports import Camera
from lockd.service.problems import Problems
from lockd.service.second_factor import SecondFactor

_START_PATIENCE_S = 30.0


class Life:
    """Feeds the watchdog for as long as everything goes on."""

    def __init__(
        self,
        camera: Camera,
        strike: Strike,
        problems: Problems,
        notifier: Notifier,
        vital: Mapping[str, Callable[[], bool]],
        second_factor: SecondFactor | None = None,
    ) -> None:
        """Prepare it.

        Args:
            vital: by name, whether threads are alive that only a fresh process can replace.
        """
        self._camera = camera
        self._strike = strike
        self._problems = problems
        self._notifier = notifier
        self._vital = vital
        self._second_factor = second_factor
        self._ready = False

    def show(self, state: str, broker: str | None) -> None:
        """Notify, once more.

        Args:
            state: of the door.
            broker: what somebody should do about the connection to it, or None.

        Raises:
            PinError: if the relay's guard is gone.
            LockdError: if another vital thread is.
        """
        if not self._strike.guarded and not self._strike.answers():
            raise PinError(
                "the relay's guard has died or hangs; lockd ends, so that the service manager "
                "locks the door and starts it again"
            )
        for name, alive in self._vital.items():
            if not alive():
                raise LockdError(
                    f"the thread {name} has died; lockd ends, so that the service manager locks "
                    "the door and starts it again"
                )
        if not self._camera.alive:
            return
        if self._second_factor is not None and not self._second_factor.alive:
            return
        self._notifier.alive()
        text = self._problems.text or f"watching, {state}"
        self._notifier.status(text if broker is None else f"{text}; mqtt: {broker}")
        if self._ready:
            return
        if self._camera.started and not self._problems.needed:
            self._ready = True
            self._notifier.ready()
        else:
            self._notifier.patience(_START_PATIENCE_S)

    def stopping(self) -> None:
        """Notify that it is on its way down."""
        self._notifier.stopping()
