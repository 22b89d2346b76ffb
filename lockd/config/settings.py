"""Everything that can be set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import model_validator

from lockd.config.access import AccessSettings
from lockd.config.base import Section
from lockd.config.camera import MainCameraSettings
from lockd.config.console import ConsoleSettings
from lockd.config.door import ControlSettings, DoorSettings
from lockd.config.fleet import FleetSettings
from lockd.config.liveness import LivenessSettings
from lockd.config.mqtt import MqttSettings
from lockd.config.pins import InputsSettings, RelaySettings, SignalsSettings
from lockd.config.recognition import QualitySettings, RecognitionSettings
from lockd.config.second_factor import SecondFactorSettings
from lockd.config.store import StoreSettings
from lockd.config.update import UpdateSettings
from lockd.door.events import Relock
from lockd.identity.liveness import Means, Policies, Policy


class Settings(Section):
    """Everything that can be set."""

    door: DoorSettings = DoorSettings()
    camera: MainCameraSettings = MainCameraSettings()
    recognition: RecognitionSettings = RecognitionSettings()
    quality: QualitySettings = QualitySettings()
    liveness: LivenessSettings = LivenessSettings()
    relay: RelaySettings = RelaySettings()
    inputs: InputsSettings = InputsSettings()
    signals: SignalsSettings = SignalsSettings()
    access: AccessSettings = AccessSettings()
    second_factor: SecondFactorSettings = SecondFactorSettings()
    store: StoreSettings = StoreSettings()
    control: ControlSettings = ControlSettings()
    console: ConsoleSettings = ConsoleSettings()
    mqtt: MqttSettings = MqttSettings()
    fleet: FleetSettings = FleetSettings()
    update: UpdateSettings = UpdateSettings()
    log: Literal["debug", "info", "warning", "error"] = "info"
    log_names: bool = True
    """Whether the log calls people by name, or by the id that says nothing once they are gone."""

    def policies(self) -> Policies:
        """Return what each person must show besides their face."""
        groups = {
            name: Policy.of(group.liveness)
            for name, group in self.access.groups.items()
            if group.liveness is not None
        }
        return Policies(Policy.of(self.liveness.policy), groups, self.access.default_group)

    def means(self) -> Means:
        """Return what the door can ask with."""
        signals = self.signals
        asks = (
            *(signals.led, signals.buzzer, signals.left_led, signals.right_led),
            *(signals.voice, signals.display),
        )
        return Means(
            challenge=signals.screen or any(one is not None for one in asks),
            second_factor=bool(self.second_factor.kinds),
        )

    @model_validator(mode="after")
    def _one_use_of_a_pin(self) -> Settings:
        used: dict[int, str] = {}
        for name, pin in self._pins():
            if pin in used:
                raise ValueError(f"{used[pin]} and {name} are both {pin}; give each its own pin")
            used[pin] = name
        return self

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> Settings:
        door, inputs = self.door, self.inputs
        for setting, needed, part in (
            ("door.anti_tailgate", door.anti_tailgate, "contact"),
            (f"door.relock: {door.relock.value}", door.relock is Relock.ON_OPEN, "contact"),
            ("door.tamper_locks_down", door.tamper_locks_down, "tamper"),
            ("door.exit_releases: false", not door.exit_releases, "exit"),
        ):
            if needed and getattr(inputs, part) is None:
                raise ValueError(f"{setting} has no effect without inputs.{part}; configure it")
        if self.camera.infrared is not None and all(one.off for one in self.policies().all):
            raise ValueError(
                "camera.infrared has no effect with liveness.policy: off; choose another policy"
            )
        if self.fleet.enabled and self.mqtt.host is None:
            raise ValueError("fleet.enabled has no effect without mqtt.host; set it")
        factor = self.second_factor
        if factor.confirm and not (self.mqtt.host and self.mqtt.commands.allow.get("confirm")):
            raise ValueError(
                "second_factor.confirm has no effect without mqtt.host and mqtt.commands.allow: "
                "confirm; set both"
            )
        if factor.wiegand is not None and self.relay.factory == "rpigpio":
            raise ValueError(
                "second_factor.wiegand: relay.factory: rpigpio misses pulses that short; use lgpio"
            )
        return self

    def _pins(self) -> Iterator[tuple[str, int]]:
        """Every pin, by the path of its setting."""
        yield "relay.pin", self.relay.pin
        if self.relay.heartbeat is not None:
            yield "relay.heartbeat.pin", self.relay.heartbeat.pin
        for section in ("inputs", "signals"):
            for name, part in getattr(self, section):
                if hasattr(part, "pin"):
                    yield f"{section}.{name}.pin", part.pin
        if (display := self.signals.display) is not None:
            yield from ((f"signals.display.{name}", pin) for name, pin in display.pins())
        if (wiegand := self.second_factor.wiegand) is not None:
            yield "second_factor.wiegand.d0_pin", wiegand.d0_pin
            yield "second_factor.wiegand.d1_pin", wiegand.d1_pin
