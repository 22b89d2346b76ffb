"""The broker does not take everything, somebody has the door's id, or sends it too much."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.faults.site import Site
from tests.patience import PATIENCE_S, eventually

Sites = Callable[..., Site]
LIMIT = 5_000


def limit_broker(site: Site) -> None:
    """Have the broker cut off whoever publishes more."""
    extra = site.folder / "extra.conf"
    listener = f"listener {site.broker.port} 127.0.0.1\nallow_anonymous true\n"
    extra.write_text(f"{listener}message_size_limit {LIMIT}\n")
    site.broker.stop()
    site.broker.include = extra
    site.restart_broker()


@pytest.mark.fault_slow
def test_a_picture_is_larger_than_the_broker_takes(sites: Sites) -> None:
    site = sites(mqtt={"protocol": "5", "snapshot": {"of": "frame"}, "alerts": {"cooldown_s": 0}})
    limit_broker(site)
    site.start()
    for _ in range(3):
        site.turn_away()
    eventually(lambda: site.logged("the broker does not take"))
    site.let_in()
    site.judge()
    told = [line.text for line in site.journal() if "connection lost" in line.text]
    assert 2 <= len(told) <= 4, told
    assert sum("the broker does not take" in line.text for line in site.journal()) == 1


@pytest.fixture
def twin() -> Iterator[mqtt.Client]:
    """A client with the door's id, which never gives up."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="lockd-front")
    client.reconnect_delay_set(1, 1)
    yield client
    client.disconnect()
    client.loop_stop()


@pytest.mark.fault_slow
def test_somebody_else_has_the_doors_client_id(sites: Sites, twin: mqtt.Client) -> None:
    site = sites()
    site.start()
    twin.connect("127.0.0.1", site.broker.port)
    twin.loop_start()
    eventually(lambda: site.logged("another client with the id lockd-front"))
    eventually(lambda: site.logged("meanwhile this one calls itself lockd-front-"))
    site.turn_away()
    site.let_in()
    site.judge()


def most_memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1000


@pytest.mark.fault_slow
def test_a_message_is_larger_than_the_memory_should_be(sites: Sites) -> None:
    site = sites(mqtt={"protocol": "3.1.1", "commands": {"plain": ["lock"]}})
    site.start()
    site.let_in()
    before = most_memory_mb(site.manager.pid)
    sender = mqtt.Client(CallbackAPIVersion.VERSION2)
    sender.connect("127.0.0.1", site.broker.port)
    sender.loop_start()
    for retain in (False, True):
        sent = sender.publish("lockd/front/command/plain", bytes(100_000_000), 1, retain)
        sent.wait_for_publish(PATIENCE_S)
    sender.publish("lockd/front/command/plain", b"", 1, retain=True).wait_for_publish(PATIENCE_S)
    sender.disconnect()
    sender.loop_stop()
    site.let_in()
    site.judge()
    assert most_memory_mb(site.manager.pid) - before < 60
