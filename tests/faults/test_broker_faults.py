"""The broker dies, dawdles, refuses, floods or says nothing. The door must not notice."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.faults.site import Site
from tests.patience import PATIENCE_S, eventually

Sites = Callable[..., Site]
MESSAGES = 10_000
TOPICS = ("events", "state", "availability", "command", "lock/set", "junk")
JUNK = (b"", b"\x00\xff" * 500, b"{", b'"UNLOCK"', b"UNLOCK", b"OPEN", b"[" * 5000)


@pytest.fixture
def publish(site: Site) -> Iterator[mqtt.Client]:
    """A client who has nothing good to say."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(200)
    client.connect("127.0.0.1", site.broker.port)
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()


def enter_unheard(site: Site) -> None:
    """Somebody is let in though no news of it gets out."""
    granted = len(site.events("access_granted"))
    heard = len(site.listener.events())
    site.let_in(heard=False)
    eventually(lambda: len(site.events("access_granted")) > granted)
    assert len(site.listener.events()) == heard


def test_the_broker_is_killed(site: Site) -> None:
    site.proxy.cut()
    site.broker.stop()
    enter_unheard(site)
    site.restart_broker()
    site.judge()  # what happened meanwhile has arrived
    site.let_in()
    site.judge()


def test_the_broker_is_stopped_like_a_machine_that_hangs(site: Site) -> None:
    site.broker.signal(signal.SIGSTOP)
    enter_unheard(site)
    site.broker.signal(signal.SIGCONT)
    site.let_in()
    site.judge()


def test_the_broker_is_slow(site: Site) -> None:
    site.proxy.delay_s = 0.5
    site.let_in()
    site.turn_away()
    site.proxy.delay_s = 0.0
    site.judge()


def test_the_broker_accepts_and_never_answers(site: Site) -> None:
    site.proxy.silent = True
    site.proxy.cut()
    site.proxy.join()
    enter_unheard(site)
    site.proxy.silent = False
    site.proxy.cut()
    site.proxy.join()
    site.judge()


@pytest.mark.fault_slow
def test_the_connection_is_cut_again_and_again(site: Site) -> None:
    for _ in range(5):
        site.proxy.cut()
        site.proxy.join()
        eventually(lambda: site.proxy.connections)
    site.let_in()
    site.judge()


@pytest.mark.fault_slow
def test_the_broker_refuses_the_password(sites: Sites) -> None:
    site = sites(people=None)
    site.broker.stop()
    site.broker.password = "right"
    site.broker.start()
    secret = site.folder / "secret"
    secret.write_text("wrong\n")
    site.configure(mqtt={"username": "door", "password_file": str(secret)})
    site.start()
    eventually(lambda: site.logged("refused"))
    site.show("stranger")
    eventually(lambda: site.events("stranger"))
    assert site.manager.count("started") == 1
    # Somebody puts the password right, and the service is started again.
    secret.write_text("right\n")
    site.listener.client.username_pw_set("door", "right")
    site.manager.kill(signal.SIGTERM)
    site.await_ready(1)
    site.judge()


def test_junk_on_every_topic(site: Site, publish: mqtt.Client) -> None:
    lives = site.manager.count("started")
    for topic in TOPICS:
        for retain in (True, False):
            for payload in JUNK:
                publish.publish(f"lockd/front/{topic}", payload, qos=1, retain=retain)
        last = publish.publish(f"lockd/front/{topic}", b"", qos=1, retain=True)
    last.wait_for_publish(PATIENCE_S)
    site.let_in(heard=False)
    site.judge()
    assert site.manager.count("started") == lives


@pytest.mark.fault_slow
def test_ten_thousand_junk_messages(site: Site, publish: mqtt.Client) -> None:
    lives = site.manager.count("started")
    last = None
    for number in range(MESSAGES):
        topic = ("command", "lock/set", "events", "junk")[number % 4]
        last = publish.publish(f"lockd/front/{topic}", b"junk %d" % number, qos=1)
    site.let_in(heard=False)  # in the midst of it
    assert last is not None
    eventually(last.is_published)
    site.let_in(heard=False)
    site.judge()
    assert site.manager.count("started") == lives


@pytest.mark.fault_slow
def test_the_brokers_name_is_not_known(sites: Sites) -> None:
    site = sites(mqtt={"host": "no-such-host.invalid"})
    site.start()
    eventually(lambda: site.logged("mqtt: "))
    site.let_in(heard=False)
    site.configure(mqtt={"host": "127.0.0.1"})
    site.manager.kill(signal.SIGTERM)
    site.await_ready(1)
    site.end()
