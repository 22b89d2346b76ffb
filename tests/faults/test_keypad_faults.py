"""Keypads and card readers that are not there, and a thread that dies."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.site import Site
from tests.patience import eventually

Sites = Callable[..., Site]

KEYPAD = {"keypad": {"device": "/dev/input/by-id/usb-no-such-keypad"}}


@pytest.mark.fault_slow
def test_the_keypad_is_not_there(sites: Sites) -> None:
    site = sites(second_factor=KEYPAD)
    site.start()
    assert "second_factor.keypad.device" in site.await_event("factor_problem")["reason"]
    site.press_exit()
    site.let_in()
    site.end()


@pytest.mark.fault_slow
def test_the_thread_of_the_keypad_dies(sites: Sites) -> None:
    site = sites(second_factor=KEYPAD)
    site.start()
    first = site.manager.pid
    site.forgiven.append(first)
    assert site.order("end_thread", name="keypad") == 1
    eventually(lambda: any(note.what == "watchdog" for note in site.manager.notes))
    eventually(lambda: site.manager.state == "running" and site.manager.pid != first)
    site.let_in()
    site.end()
