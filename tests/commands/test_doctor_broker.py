"""What the doctor says of a broker's limits, and of two doors with one client id."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lockd.adapters.mqtt.bus import Bus
from lockd.commands.doctor import broker, broker_trials
from lockd.commands.doctor.findings import Finding, Machine, Status
from lockd.config import MqttSettings
from lockd.messages import Topics
from tests.adapters.test_bus_limits import SAID, UNSAID, limited
from tests.brokers import Mosquitto
from tests.patience import eventually

__all__ = ["limited"]  # a fixture that is shared


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., Machine]:
    def make(port: int, mqtt: str) -> Machine:
        file = tmp_path / "lockd.yaml"
        where = f"control: {{socket: {tmp_path / 'none'}}}\n"
        file.write_text(f"{where}mqtt: {{host: 127.0.0.1, port: {port}, {mqtt}}}\n")
        return Machine(config_file=file, root=tmp_path / "root")

    return make


@pytest.fixture
def no_namesakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "namesake", lambda machine, mqtt: [])


def last(found: list[Finding]) -> tuple[Status, str]:
    return found[-1].status, f"{found[-1].text} -> {found[-1].mend}"


@pytest.mark.usefixtures("no_namesakes")
@pytest.mark.parametrize("line", [SAID, UNSAID])
def test_a_picture_that_the_broker_does_not_take_is_told_before_it_happens(
    limited: Callable[[str], Mosquitto], machine: Callable[..., Machine], line: str
) -> None:
    port = limited(line).port
    status, text = last(broker.broker(machine(port, "snapshot: {of: face, max_kb: 100}")))
    assert status is Status.WARNING
    for part in ("mqtt.snapshot.max_kb: 100000 bytes", "max_packet_size", "message_size_limit"):
        assert part in text
    status, text = last(broker.broker(machine(port, "snapshot: {of: face, max_kb: 15}")))
    assert (status, "15000 bytes, which the broker takes" in text) == (Status.OK, True)
    status, text = last(broker.broker(machine(port, "snapshot: {of: none, max_kb: 100}")))
    assert (status, "max_kb" in text) == (Status.OK, False)


@pytest.mark.usefixtures("no_namesakes")
def test_what_home_assistant_is_told_may_be_too_large_too(
    limited: Callable[[str], Mosquitto], machine: Callable[..., Machine]
) -> None:
    port = limited("max_packet_size 4000").port
    status, text = last(broker.broker(machine(port, "home_assistant: {discovery: true}")))
    assert (status, "what Home Assistant is told" in text) == (Status.WARNING, True)


def test_a_client_of_the_same_id_is_a_problem_with_its_cure(
    mosquitto: Mosquitto, machine: Callable[..., Machine]
) -> None:
    this = machine(mosquitto.port, "client_id: twin")
    assert broker_trials.namesake(this, this.settings.mqtt) == []
    settings = MqttSettings(host="127.0.0.1", port=mosquitto.port, client_id="twin")
    other = Bus(settings, Topics("lockd", "other"), "other", retry_first_s=0.05)
    other.start()
    try:
        eventually(lambda: other.connected)
        (finding,) = broker_trials.namesake(this, this.settings.mqtt)
    finally:
        other.close()
    assert finding.status is Status.PROBLEM
    assert "another client with the id twin" in finding.text
    assert "mqtt.client_id" in finding.mend


def test_a_service_that_runs_is_asked_rather_than_thrown_off(
    mosquitto: Mosquitto, machine: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    this = machine(mosquitto.port, "client_id: twin")

    def nobody_connects(*_: object, **__: object) -> None:
        raise AssertionError("the service would lose its connection")

    monkeypatch.setattr(broker_trials, "Visitor", nobody_connects)
    said = "watching, locked; mqtt: another client with the id twin connects to the broker"
    for status, problems in (("watching, locked", 0), (said, 1)):
        this.__dict__["unit"] = {"ActiveState": "active", "StatusText": status}
        found = broker_trials.namesake(this, this.settings.mqtt)
        assert [one.status for one in found] == [Status.PROBLEM] * problems
