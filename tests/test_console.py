"""What every command shares."""

from __future__ import annotations

import os
import signal
import threading

from lockd.console import signals_heard


def test_a_signal_is_heard_by_a_thread_of_its_own_and_others_stay_as_they_were() -> None:
    heard: list[str] = []
    both = threading.Event()

    def note() -> None:
        heard.append(threading.current_thread().name)
        if len(heard) == 2:
            both.set()

    before = signal.getsignal(signal.SIGUSR2)
    with signals_heard({signal.SIGUSR1: note, signal.SIGHUP: note}):
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGHUP)
        assert both.wait(10)
    assert heard == ["signal-listener"] * 2
    assert signal.getsignal(signal.SIGUSR2) == before
    assert signal.set_wakeup_fd(-1) == -1
