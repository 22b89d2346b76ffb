"""A configuration is taken whole or refused with every mistake in it; then it counts."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from pydantic import BaseModel

from lockd.config import CameraSettings, DoorSettings, QualitySettings, Settings, find, load, parse
from lockd.door.events import DoorRules, LockOut, Relock
from lockd.door.rules import AccessRules, Group
from lockd.door.schedules import Schedule, read_holiday
from lockd.errors import ConfigError
from lockd.identity.evidence import Agreement, Recognised
from lockd.identity.gallery import Gallery, Template
from lockd.recognition.recogniser import Recogniser, Vision
from lockd.types import Embedding, Face, Frame, Match, Unfit
from lockd.vision.models import Models
from lockd.vision.quality import Limits
from tests.conftest import ROOT
from tests.fakes import ADA, face_at, unit

SHIPPED = ROOT / "config" / "lockd.yaml"
DEMO = ROOT / "config" / "demo.yaml"


def mistakes(text: str) -> list[str]:
    """What is said of a wrong configuration, line by line."""
    with pytest.raises(ConfigError) as caught:
        parse(text, "lockd.yaml")
    return [line.strip() for line in str(caught.value).splitlines()]


def names_of_its_own(annotation: Any) -> bool:
    """Whether the file's owner names what is in a setting, as the groups."""
    return any(
        getattr(kind, "__origin__", None) is dict
        for kind in (annotation, *getattr(annotation, "__args__", ()))
    )


def leaves(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """The path of every setting."""
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        inner = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
        if inner and not names_of_its_own(field.annotation):
            yield from leaves(inner[0], f"{path}{name}.")
        else:
            yield path + name


def value_at(settings: Settings, path: str) -> Any:
    value: Any = settings
    for name in path.split("."):
        value = None if value is None else getattr(value, name)
    return value


def paths_in(content: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if value is None and not path:
            continue  # a section in which everything is commented out
        if isinstance(value, dict) and path + name not in OWN_NAMES:
            yield from paths_in(value, f"{path}{name}.")
        else:
            yield path + name, value


OWN_NAMES = {
    "access.groups",
    "access.hold_open.hours",
    "mqtt.alerts.quiet.hours",
    "mqtt.commands.allow",
}
COMMENTED_OUT = re.compile(r"^(\s*)# ( *[a-z_][a-z0-9_]*:(?: (?:\S+|\{.*\}))?)$", re.MULTILINE)


class TestShippedFiles:
    @pytest.mark.parametrize("path", [SHIPPED, DEMO], ids=lambda path: path.name)
    def test_they_are_good(self, path: Path) -> None:
        assert isinstance(load(path), Settings)

    def test_the_annotated_file_shows_every_setting(self) -> None:
        text = COMMENTED_OUT.sub(r"\1\2", SHIPPED.read_text())
        shown = [path for path, _ in paths_in(yaml.safe_load(text))]
        # A second camera takes every setting of the first, which are shown there.
        first = set(leaves(CameraSettings, "camera.infrared."))
        assert sorted(shown) == sorted({*leaves(Settings)} - first | {"camera.infrared.source"})

    def test_what_it_comments_out_is_good_too(self) -> None:
        settings = parse(COMMENTED_OUT.sub(r"\1\2", SHIPPED.read_text()))
        assert settings.mqtt.tls is not None
        assert settings.mqtt.username == "front_door"

    def test_it_shows_the_defaults_except_where_it_says_otherwise(self) -> None:
        remarks = dict(self._remarks(SHIPPED.read_text()))
        for path, shown in paths_in(yaml.safe_load(SHIPPED.read_text())):
            if "Default:" not in remarks[path]:
                assert shown == value_at(Settings(), path), path

    @pytest.mark.parametrize(
        ("path", "stated"),
        [("door.id", "door"), ("door.name", "Door"), ("mqtt.host", "none")],
    )
    def test_a_default_that_it_states_is_the_default(self, path: str, stated: str) -> None:
        assert f"Default: {stated}" in dict(self._remarks(SHIPPED.read_text()))[path]
        assert value_at(Settings(), path) == (None if stated == "none" else stated)

    def test_what_it_comments_out_is_not_set_by_default(self) -> None:
        text = SHIPPED.read_text()
        active = {path for path, _ in paths_in(yaml.safe_load(text))}
        for path in set(leaves(Settings)) - active:
            assert value_at(Settings(), path) in (None, {}), path

    def test_the_demo_switches_no_real_relay(self) -> None:
        assert load(DEMO).relay.factory == "mock"

    @staticmethod
    def _remarks(text: str) -> Iterator[tuple[str, str]]:
        """(path, the comment above it) of every setting in force."""
        sections: list[str] = []
        comment = ""
        for line in text.splitlines():
            if line.lstrip().startswith("#"):
                comment += line.lstrip(" #") + "\n"
                continue
            name, colon, value = line.strip().partition(":")
            if colon:
                depth = (len(line) - len(line.lstrip())) // 2
                sections = [*sections[:depth], name]
                if value:
                    yield ".".join(sections), comment
            comment = ""


class TestMistakes:
    def test_every_mistake_is_reported_at_once_with_its_path(self) -> None:
        found = mistakes(
            "door:\n  open_s: -3\n  colour: red\n"
            "camera:\n  source: 64\n  fps: fast\n"
            "quality:\n  min_luma: 200\n  max_luma: 100\n"
            "mqtt:\n  port: 70000\n  tls:\n    ca_fil: /x\n"
            "log: loud\n"
        )
        assert found[0] == "lockd.yaml: 8 mistakes"
        assert sorted(line.split(": ")[0] for line in found[1:]) == [
            "camera.fps",
            "camera.source",
            "door.colour",
            "door.open_s",
            "log",
            "mqtt.port",
            "mqtt.tls.ca_fil",
            "quality",
        ]

    def test_a_mistake_names_the_value_and_the_way_out(self) -> None:
        assert mistakes("door:\n  open_s: -3") == [
            "lockd.yaml: 1 mistake",
            "door.open_s: -3 is wrong: use a number from 0.5 to 60 (line 2, column 11)",
        ]

    def test_a_value_of_several_types_is_one_mistake_with_several_ways_out(self) -> None:
        (_, line) = mistakes("camera:\n  source: 64")
        assert line.startswith("camera.source: 64 is wrong: ")
        assert "a text, or a whole number from 0 to 63" in line

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("recogniton: {}", "recogniton: unknown key; did you mean recognition?"),
            ("door:\n  open: 5", "door.open: unknown key; did you mean open_s?"),
            ("mqtt:\n  prot: 1", "mqtt.prot: unknown key; did you mean port?"),
            ("mqtt:\n  tls:\n    cafile: x", "mqtt.tls.cafile: unknown key; did you mean ca_file?"),
            ("door:\n  xyz: 5", "door.xyz: unknown key; lockd knows no such setting"),
            # Known, but in another section.
            ("relay:\n  accept: 1", "relay.accept: unknown key; lockd knows no such setting"),
        ],
    )
    def test_an_unknown_key_is_a_mistake_with_the_nearest_known_one(
        self, text: str, line: str
    ) -> None:
        found = mistakes(text)
        assert found[0] == "lockd.yaml: 1 mistake"
        assert re.sub(r" \(line \d, column \d\)$", "", found[1]) == line

    @pytest.mark.parametrize(
        "text",
        ["door:\n  id: a\n  id: b\n", "door: {}\nlog: info\ndoor: {}\n", "door: {id: a, id: b}"],
    )
    def test_a_key_written_twice_is_a_mistake_and_neither_counts(self, text: str) -> None:
        message = "\n".join(mistakes(text))
        assert "is there twice" in message
        assert "line" in message

    def test_a_key_may_be_in_two_sections(self) -> None:
        settings = parse("camera:\n  width: 320\n  height: 240\nlog: debug")
        assert (settings.camera.width, settings.log) == (320, "debug")

    @pytest.mark.parametrize("text", ["- door", "5", "door", "[]"])
    def test_what_has_no_sections_is_refused(self, text: str) -> None:
        assert "expected sections such as `door:`" in mistakes(text)[0]

    @pytest.mark.parametrize("text", ["a: b: c", "door: [", "\tdoor:", "door: !!python/name:os.x"])
    def test_what_is_no_yaml_is_refused_with_the_place(self, text: str) -> None:
        message = "\n".join(mistakes(text))
        assert message.startswith("lockd.yaml: not YAML")
        assert "line" in message

    @pytest.mark.parametrize("text", ["door: 5", "door: [1]", "mqtt:\n  tls: true"])
    def test_a_section_that_is_none_is_refused(self, text: str) -> None:
        assert "is wrong: use a section with" in mistakes(text)[1]

    @pytest.mark.parametrize(
        ("path", "good", "bad"),
        [
            ("door.open_s", [0.5, 60], [0.49, 61, ".nan", ".inf", "soon"]),
            ("door.id", ["a", "a-b_9"], ["''", "a b", "a/b", "+", "'#'", "x" * 65]),
            ("door.name", ["Tür"], ["''", "x" * 65]),
            ("camera.source", [0, 63, "clip.mp4", "csi", "csi:1"], [-1, 64, "[]", "''"]),
            ("camera.rotate", [0, 90, 180, 270], [45, -90, 360, "left"]),
            ("camera.frozen_after_s", [0, 3600], [-1, 3601, ".nan"]),
            ("camera.covered_after_s", [0, 3600], [-1, 3601, ".nan"]),
            ("camera.max_age_s", [0.1, 60], [0, 61, ".nan"]),
            ("camera.read_timeout_s", [0.1, 3600], [0, -1, 3601, ".inf", ".nan"]),
            ("recognition.accept", [0.3, 1], [0.19, -1, 0, 1.01, ".nan"]),
            ("recognition.margin", [0, 1], [-0.01, 1.01, ".nan"]),
            ("recognition.threads", [1, 16], [0, 17, 1.5]),
            ("recognition.agree_frames", [1, 5], [0, 51]),
            ("recognition.runtime", ["auto"], ["onnx"]),
            ("quality.min_face_px", [20], [19, ".nan"]),
            ("quality.min_sharpness", [0], [-0.1, ".nan"]),
            ("quality.max_yaw", [0], [-0.1, ".nan"]),
            ("relay.pin", [0, 53], [-1, 54]),
            ("relay.factory", ["lgpio", "mock"], ["native", "pigpio"]),
            ("relay.active_high", ["true", "false"], ["maybe", 2]),
            ("mqtt.port", [1, 65535], [0, 65536]),
            ("mqtt.base_topic", ["a/b"], ["''", "a/", "/a", "a//b", "a/#", "+", "x" * 129]),
            ("mqtt.similarity", ["never", "always"], ["sometimes"]),
            ("mqtt.host", ["broker"], ["''"]),
            ("log", ["debug"], ["trace", "INFO"]),
        ],
    )
    def test_a_value_counts_up_to_its_limits_and_not_beyond(
        self, path: str, good: list[Any], bad: list[Any]
    ) -> None:
        section, _, key = path.rpartition(".")
        indent = f"{section}:\n  " if section else ""
        for value in good:
            settings = parse(f"{indent}{key}: {value}")
            assert str(value_at(settings, path)).lower() in (str(value).lower(), f"{value}.0")
        for value in bad:
            (_, line) = mistakes(f"{indent}{key}: {value}")
            assert line.startswith(f"{path}: ")

    @pytest.mark.parametrize("source", ["csi:", "csi:x", "csi:-1", "picamera2:10"])
    def test_a_ribbon_camera_has_a_number_of_one_digit(self, source: str) -> None:
        (_, line) = mistakes(f"camera: {{source: '{source}'}}")
        assert line.startswith("camera: source ")
        assert ":1 for the second one" in line

    def test_a_region_lies_within_the_picture(self) -> None:
        assert parse("camera: {region: {x: 0.7, width: 0.3}}").camera.region is not None
        for size in (0.04, 1.01, ".nan"):
            (_, line) = mistakes(f"camera: {{region: {{height: {size}}}}}")
            assert line.startswith("camera.region.height: ")
        (_, line) = mistakes("camera: {region: {x: 0.8, width: 0.3}}")
        assert line == (
            "camera.region: x (0.8) and width (0.3) reach beyond the picture; they may add up to 1 "
            "(line 1, column 18)"
        )

    def test_a_number_of_agreeing_frames_that_cannot_be_reached_is_a_mistake(self) -> None:
        (_, line) = mistakes("recognition:\n  agree_frames: 6")
        assert line == (
            "recognition: agree_frames (6) can never be reached among window_frames (5); "
            "raise window_frames (line 2, column 3)"
        )

    @pytest.mark.parametrize("measure", ["luma", "pitch"])
    def test_limits_that_no_face_could_meet_are_a_mistake(self, measure: str) -> None:
        (_, line) = mistakes(f"quality:\n  min_{measure}: 0.7\n  max_{measure}: 0.6")
        assert f"no face lies between min_{measure} (0.7) and max_{measure} (0.6)" in line

    def test_a_password_without_a_user_name_is_a_mistake(self) -> None:
        assert "set username too" in mistakes("mqtt:\n  password_file: /x")[1]

    def test_settings_cannot_be_changed_by_accident(self) -> None:
        with pytest.raises(ValueError, match="frozen"):
            Settings().door.open_s = 9  # type: ignore[misc]


class TestEmptiness:
    @pytest.mark.parametrize("text", ["", "# nothing\n", "door:\n", "door: {}\nmqtt:\n", "---\n"])
    def test_nothing_written_means_the_defaults(self, text: str) -> None:
        assert parse(text) == Settings()

    @pytest.mark.parametrize("tls", ["tls:", "tls: {}", "tls:\n    # ca_file: /x"])
    def test_a_tls_section_with_nothing_in_it_encrypts(self, tls: str) -> None:
        settings = parse(f"mqtt:\n  host: broker\n  {tls}\n")
        assert settings.mqtt.tls is not None
        assert settings.mqtt.tls.ca_file is None

    def test_without_a_tls_section_nothing_is_encrypted(self) -> None:
        assert parse("mqtt:\n  host: broker\n").mqtt.tls is None

    def test_without_a_file_the_defaults_hold(self) -> None:
        assert load(None) == Settings()


class TestFiles:
    def write(self, folder: Path, text: str) -> Path:
        path = folder / "lockd.yaml"
        path.write_text(text)
        return path

    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"gone\.yaml: cannot be read: No such file"):
            load(tmp_path / "gone.yaml")

    def test_a_folder_is_no_configuration(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
            load(tmp_path)

    def test_a_file_that_is_not_utf_8_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "lockd.yaml"
        path.write_bytes("door:\n  name: Tür\n".encode("latin-1"))
        with pytest.raises(ConfigError, match=r"lockd\.yaml: cannot be read: .*utf-8"):
            load(path)

    def test_mistakes_are_told_with_the_files_name(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "log: loud")
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert str(caught.value).startswith(f"{path}: 1 mistake")

    def test_relative_paths_are_taken_from_the_files_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "etc"
        folder.mkdir()
        path = self.write(
            folder,
            "camera:\n  source: clips/porch.mp4\n"
            "recognition:\n  models: networks\n"
            "store:\n  folder: state\n"
            "mqtt:\n  username: door\n  password_file: secret\n  tls:\n    ca_file: ca.pem\n",
        )
        monkeypatch.chdir(tmp_path)
        for given in (path, Path("etc/lockd.yaml")):
            settings = load(given)
            assert settings.camera.source == str(folder / "clips/porch.mp4")
            assert settings.recognition.folder() == folder / "networks"
            assert settings.store.path() == folder / "state" / "lockd.db"
            assert settings.mqtt.password_file == folder / "secret"
            assert settings.mqtt.tls is not None
            assert settings.mqtt.tls.ca_file == folder / "ca.pem"

    def test_absolute_paths_stay_and_a_home_folder_is_understood(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        settings = load(
            self.write(
                tmp_path,
                "camera:\n  source: ~/clip.mp4\nstore:\n  folder: ~/state\n"
                "recognition:\n  models: /networks\n",
            )
        )
        assert settings.camera.source == str(tmp_path / "home" / "clip.mp4")
        assert settings.store.folder == tmp_path / "home" / "state"
        assert settings.recognition.models == Path("/networks")

    @pytest.mark.parametrize(
        "source",
        [0, "'1'", "/dev/video2", "rtsp://camera/1", "http://camera/video.mjpg", "csi", "csi:1"],
    )
    def test_devices_and_streams_are_no_paths(self, tmp_path: Path, source: object) -> None:
        settings = load(self.write(tmp_path, f"camera:\n  source: {source}"))
        assert str(settings.camera.source) == str(source).strip("'")


class TestPins:
    @pytest.mark.parametrize(
        ("text", "line"),
        [
            (
                "inputs: {exit: {pin: 17}}",
                "relay.pin and inputs.exit.pin are both 17; give each its own pin",
            ),
            (
                "relay: {heartbeat: {pin: 22}}\nsignals: {led: {pin: 22}}",
                "relay.heartbeat.pin and signals.led.pin are both 22; give each its own pin",
            ),
            (
                "inputs: {contact: {pin: 5}}\nsignals: {buzzer: {pin: 5}}",
                "inputs.contact.pin and signals.buzzer.pin are both 5; give each its own pin",
            ),
            (
                "relay: {pin: 22}\nsignals: {led: {pin: 22}}",
                "relay.pin and signals.led.pin are both 22; give each its own pin",
            ),
        ],
    )
    def test_two_uses_of_one_pin_are_a_mistake_that_names_both(self, text: str, line: str) -> None:
        assert mistakes(text) == ["lockd.yaml: 1 mistake", line]

    def test_each_its_own_pin_is_good(self) -> None:
        text = "inputs: {exit: {pin: 5}, contact: {pin: 6}}\nsignals: {led: {pin: 7}}"
        assert isinstance(parse(text), Settings)

    @pytest.mark.parametrize(
        ("active_high", "wiring", "high"),
        [
            (True, "fail_secure", True),
            (False, "fail_secure", False),
            (True, "fail_safe", False),
            (False, "fail_safe", True),
        ],
    )
    def test_a_fail_safe_relay_is_on_while_the_door_is_locked(
        self, active_high: bool, wiring: str, high: bool
    ) -> None:
        relay = parse(f"relay: {{active_high: {active_high}, wiring: {wiring}}}").relay
        assert relay.unlocks_high is high

    def test_a_pattern_that_does_not_exist_is_a_mistake(self) -> None:
        (_, line) = mistakes("signals: {buzzer: {pin: 5, quiet: [granted, nights]}}")
        assert line.startswith("signals.buzzer.quiet.1: 'nights' is wrong: use idle, looking")


class TestWhichFile:
    def test_the_file_given_goes_before_the_environments(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LOCKD_CONFIG", "/environment.yaml")
        assert find(Path("/given.yaml")) == Path("/given.yaml")
        assert find(None) == Path("/environment.yaml")

    def test_the_systems_file_is_used_where_there_is_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        system = tmp_path / "lockd.yaml"
        monkeypatch.setattr("lockd.config.files.SYSTEM_FILE", system)
        assert find(None) is None
        system.write_text("")
        assert find(None) == system

    def test_a_systems_file_that_one_may_not_look_at_is_no_missing_one(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Forbidden:
            def exists(self) -> bool:
                raise PermissionError(13, "Permission denied")

            def __str__(self) -> str:
                return "/etc/lockd/lockd.yaml"

        monkeypatch.setattr("lockd.config.files.SYSTEM_FILE", Forbidden())
        with pytest.raises(ConfigError, match="as root or as the user lockd"):
            find(None)

    def test_the_store_is_in_the_folder_set_or_systemds_or_the_users(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert Settings().store.path() == tmp_path / "xdg" / "lockd" / "lockd.db"
        monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/lockd:/var/lib/other")
        assert Settings().store.path() == Path("/var/lib/lockd/lockd.db")
        assert parse("store:\n  folder: /srv").store.path() == Path("/srv/lockd.db")


def changed(section: str, name: str, value: Any) -> Settings:
    return parse(yaml.safe_dump({section: {name: value}}))


class TestSettingsCount:
    @pytest.mark.parametrize("field", dataclasses.fields(Agreement), ids=lambda field: field.name)
    def test_a_changed_setting_changes_the_evidence_asked_for(self, field) -> None:  # type: ignore[no-untyped-def]
        value = field.default - 1 if field.name == "agree_frames" else field.default + 2
        agreement = changed("recognition", field.name, value).recognition.agreement()
        assert agreement == dataclasses.replace(Agreement(), **{field.name: value})

    @pytest.mark.parametrize("field", dataclasses.fields(Limits), ids=lambda field: field.name)
    def test_a_changed_setting_changes_the_quality_asked_for(self, field) -> None:  # type: ignore[no-untyped-def]
        value = field.default * 0.9 if isinstance(field.default, float) else field.default + 7
        limits = changed("quality", field.name, value).quality.limits()
        assert limits == dataclasses.replace(Limits(), **{field.name: value})

    @pytest.mark.parametrize("field", dataclasses.fields(DoorRules), ids=lambda field: field.name)
    def test_a_changed_setting_changes_the_rules_of_the_door(self, field) -> None:  # type: ignore[no-untyped-def]
        if field.name == "longest_s":
            assert field.name not in DoorSettings.model_fields  # no setting exceeds it
            return
        if field.name == "lock_out":
            other: Any = {
                name: value + 1 for name, value in dataclasses.asdict(field.default).items()
            }
            value: Any = LockOut(**other)
        elif isinstance(field.default, bool):
            value = other = not field.default
        elif isinstance(field.default, Relock):
            value = other = Relock.ON_OPEN
        else:
            value = other = field.default + 1
        written = other.value if isinstance(other, Relock) else other
        inputs = {"exit": {"pin": 23}, "contact": {"pin": 24}, "tamper": {"pin": 25}}
        text = yaml.safe_dump({"door": {field.name: written}, "inputs": inputs})
        rules = parse(text).door.rules()
        assert rules == dataclasses.replace(DoorRules(), **{field.name: value})

    def test_the_defaults_of_the_settings_are_those_of_the_code(self) -> None:
        assert Settings().recognition.agreement() == Agreement()
        assert Settings().quality.limits() == Limits()
        assert Settings().door.rules() == DoorRules()

    def test_every_quality_setting_is_a_limit(self) -> None:
        names = {field.name for field in dataclasses.fields(Limits)}
        assert names == QualitySettings.model_fields.keys()

    def test_the_networks_are_built_as_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[tuple[str, int]] = []
        built = Models.network

        def network(models: Models, name: str, shape: Any = None, *, threads: int = 1) -> Any:
            asked.append((name, threads))
            return built(models, name, shape, threads=threads)

        monkeypatch.setattr(Models, "network", network)
        vision = Vision(parse("recognition: {threads: 3, search_face_px: 45}"))
        assert vision.detector.min_face_px == 45
        assert ("facenet", 3) in asked

    def test_the_runtime_and_the_folder_of_networks_are_those_set(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[Path, str]] = []

        def load_models(folder: Path, runtime: str = "auto") -> Models:
            asked.append((folder, runtime))
            raise KeyboardInterrupt

        monkeypatch.setattr(Models, "load", load_models)
        for text in ("", "recognition: {models: /networks, runtime: tflite-runtime}"):
            with pytest.raises(KeyboardInterrupt):
                Vision(parse(text))
        assert asked == [(ROOT / "models", "auto"), (Path("/networks"), "tflite-runtime")]


class ScriptedVision:
    """Finds the same faces in every frame, all of them Ada's, at this cosine."""

    def __init__(self, faces: list[Face], similarity: float = 0.75) -> None:
        self._faces = faces
        self._embedding = unit(similarity, math.sqrt(1 - similarity**2))
        self.detector = self
        self.embedder = self
        self.liveness = None
        self.accept = 0.7
        self.min_face_px = 60
        self.staged = False

    def detect_in(self, octaves: object, within: object = None) -> list[Face]:
        return self._faces

    def follow(self, octaves: object, boxes: list[object]) -> list[Face | None]:
        return list(self._faces[: len(boxes)])

    def probe(self, octaves: object, face: Face) -> SimpleNamespace:
        vector = self._embedding
        return SimpleNamespace(head=vector, complete=True, whole=lambda: vector)


class RecordingGallery(Gallery):
    """Notes what it was asked for."""

    asked: list[tuple[float, float]]

    def identify(self, probe: Embedding, *, accept: float, margin: float) -> Match:
        self.asked = [*getattr(self, "asked", []), (accept, margin)]
        return super().identify(probe, accept=accept, margin=margin)


def watcher(text: str, faces: list[Face] | None = None) -> tuple[Recogniser, RecordingGallery]:
    gallery = RecordingGallery([Template(ADA, unit(1))], 8)
    vision: Any = ScriptedVision([face_at(50, 50, 120)] if faces is None else faces)
    return Recogniser(parse(text), vision, gallery), gallery


def frame(t: float) -> Frame:
    import numpy as np

    noise = np.random.default_rng(1).integers(60, 200, (240, 640, 3)).astype(np.uint8)
    return Frame(noise, t, round(t * 10) + 1)


class TestSettingsReachTheWatcher:
    def test_the_thresholds_reach_the_gallery(self) -> None:
        watching, gallery = watcher("recognition: {accept: 0.61, margin: 0.17}")
        watching.look(frame(0))
        assert gallery.asked == [(0.61, 0.17)]

    @pytest.mark.parametrize(("accept", "known"), [(0.74, True), (0.76, False)])
    def test_a_face_just_over_the_threshold_is_somebody_and_just_under_is_nobody(
        self, accept: float, known: bool
    ) -> None:
        watching, _ = watcher(f"recognition: {{accept: {accept}}}")
        (sighting,) = watching.look(frame(0)).sightings
        assert sighting.match is not None
        assert (sighting.match.person == ADA) is known

    @pytest.mark.parametrize("frames", [1, 2, 4])
    def test_as_many_frames_must_agree_as_set(self, frames: int) -> None:
        watching, _ = watcher(f"recognition: {{agree_frames: {frames}}}")
        verdicts = [watching.look(frame(step / 10)).verdicts for step in range(frames)]
        assert verdicts[:-1] == [[]] * (frames - 1)
        assert [type(one) for one in verdicts[-1]] == [Recognised]

    def test_at_most_so_many_faces_of_a_frame_are_judged_as_set(self) -> None:
        faces = [face_at(x, 50, 120) for x in (0, 150, 300, 450)]
        watching, gallery = watcher("recognition: {faces_per_frame: 3}", faces)
        sightings = watching.look(frame(0)).sightings
        assert len(gallery.asked) == 3
        assert [one.match is not None for one in sightings].count(True) == 3

    @pytest.mark.parametrize(("gap_s", "visits"), [(3, 1), (1, 2)])
    def test_a_visit_ends_after_the_gap_set(self, gap_s: float, visits: int) -> None:
        faces = [face_at(50, 50, 120)]
        watching, _ = watcher(f"recognition: {{visit_gap_s: {gap_s}, still_search_s: 0}}", faces)
        seen = {watching.look(frame(0)).sightings[0].visit}
        face = faces.pop()
        watching.look(frame(2))
        faces.append(face)
        seen.add(watching.look(frame(2.5)).sightings[0].visit)
        assert len(seen) == visits

    def test_a_face_that_misses_a_limit_set_is_not_judged(self) -> None:
        watching, gallery = watcher("quality: {min_face_px: 130}")
        (sighting,) = watching.look(frame(0)).sightings
        assert sighting.unfit == Unfit.TOO_SMALL
        assert sighting.match is None
        assert not hasattr(gallery, "asked")


class TestAccess:
    def test_every_mistake_has_its_own_line_and_path(self) -> None:
        found = mistakes(
            "access:\n"
            "  timezone: Europe/Berln\n"
            "  holidays: [2026-12-25, 2026-02-30, easter]\n"
            "  groups:\n"
            "    staff: {hours: {mon-fry: ['07:00-19:00'], sat: ['7-9', '09:00-09:00'], mon: 7}}\n"
            "    two words: {hours: always}\n"
            "    nobody:\n"
            "    night: {hour: always, extendd: true}\n"
            "    day: {hours: }\n"
            "  hold_open: {hours: always}\n"
        )
        assert sorted(line.split(": ")[0] for line in found[1:]) == [
            "access.groups.day.hours",
            "access.groups.night.extendd",
            "access.groups.night.hour",
            "access.groups.night.hours",
            "access.groups.nobody",
            "access.groups.staff.hours.mon",
            "access.groups.staff.hours.mon-fry",
            "access.groups.staff.hours.sat.0",
            "access.groups.staff.hours.sat.1",
            "access.groups.two words",
            "access.hold_open.hours",
            "access.holidays.1",
            "access.holidays.2",
            "access.timezone",
        ]
        text = "\n".join(found)
        for said in (
            "did you mean Europe/Berlin?",
            "'2026-02-30': there is no such day",
            "night.extendd: unknown key; did you mean extended?",
            "night.hours: missing; it has no default",
            "day.hours: no hours by days; use always, or days",
            "'always' are no hours; use days with hours",
        ):
            assert said in text

    @pytest.mark.parametrize("name", ["Europe", "../etc/passwd", "/etc/localtime", "", "a\0b"])
    def test_what_is_no_time_zone_is_said(self, name: str) -> None:
        (line,) = mistakes(yaml.safe_dump({"access": {"timezone": name}}))[1:]
        assert "is no time zone that this machine knows" in line

    def test_the_default_group_must_exist(self) -> None:
        (line,) = mistakes("access: {default_group: staff, groups: {admins: {hours: always}}}")[1:]
        assert line == "access: default_group is 'staff', but groups has admins (line 1, column 9)"

    def test_a_group_without_hours_is_never_taken_for_one_that_is_always_admitted(self) -> None:
        for text in ("{}", "{hours: }", "{extended: true}"):
            assert mistakes(f"access: {{groups: {{staff: {text}}}}}")

    @pytest.mark.parametrize("number", [0, 1])
    def test_the_examples_of_the_documentation_are_good(self, number: int) -> None:
        text = (ROOT / "docs" / "access.md").read_text("utf-8")
        example = re.findall(r"^    access:\n(?:     .*\n)+", text, re.MULTILINE)[number]
        access = parse(textwrap.dedent(example)).access
        assert access.groups or access.hold_open

    def test_what_is_set_reaches_the_rules(self) -> None:
        access = parse(
            "access:\n"
            "  timezone: Pacific/Auckland\n"
            "  holidays: [2026-12-25, 12-26]\n"
            "  default_group: staff\n"
            "  groups:\n"
            "    staff: {hours: {mon-fri: 09:00-17:00, holiday: ['10:00-11:00']}, extended: true}\n"
            "    cleaners: {hours: {sun: ['22:00-02:00']}, ignore_holidays: true}\n"
            "    admins: {hours: always}\n"
            "  hold_open: {hours: {mon: ['12:00-13:00']}, ignore_holidays: true}\n"
        ).access
        staff = Schedule.of({"mon-fri": ["09:00-17:00"], "holiday": ["10:00-11:00"]})
        assert access.rules() == AccessRules(
            groups={
                "staff": Group(staff, extended=True),
                "cleaners": Group(Schedule.of({"sun": ["22:00-02:00"]}, ignore_holidays=True)),
                "admins": Group(None),
            },
            default_group="staff",
            holidays=(read_holiday("2026-12-25"), read_holiday("12-26")),
            hold_open=Schedule.of({"mon": ["12:00-13:00"]}, ignore_holidays=True),
        )
        assert access.zone() == ZoneInfo("Pacific/Auckland")
        assert Settings().access.rules() == AccessRules()
        assert Settings().access.zone() is None


@pytest.mark.parametrize(
    "text",
    ["door: {open_s: yes}", "camera: {source: on}", "camera: {fps: '15'}", "mqtt: {port: true}"],
)
def test_yaml_truth_and_text_are_no_numbers(text: str) -> None:
    with pytest.raises(ConfigError, match=r"use a (whole )?number|is no camera"):
        parse(text)


BILLION = "a0: &a0 [1, 1]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(40))


class TestAsWritten:
    @pytest.mark.parametrize(
        ("text", "value", "meant"),
        [
            ("relay:\n  pin: 017", "017", "; write 17"),
            ("relay:\n  pin: 0x11", "0x11", "; write 17"),
            ("relay:\n  pin: 0o21", "0o21", "; write 17"),
            ("relay:\n  pin: 0b1", "0b1", "; write 1"),
            ("mqtt:\n  port: 1_883", "1_883", "; write 1883"),
            ("mqtt:\n  port: 22:00", "22:00", ""),
            ("mqtt:\n  port: '1883'", "'1883'", "; write 1883, without quotes"),
            ("door:\n  open_s: 5,5", "5,5", "; write 5.5"),
            ("door:\n  open_s: 007", "007", "; write 7"),
            ("relay:\n  active_high: no", "'no'", "; write false"),
            ("relay:\n  active_high: On", "'On'", "; write true"),
            ("camera:\n  rotate: 0132", "0132", ""),
            ("camera:\n  width: 1e3", "1e3", ""),
            ("access:\n  holidays: 12-25", "12-25", "; write [12-25]"),
        ],
    )
    def test_no_number_is_taken_that_was_not_written_as_one(
        self, text: str, value: str, meant: str
    ) -> None:
        (_, line) = mistakes(text)
        column = text.splitlines()[1].index(": ") + 3
        assert f": {value} is wrong: use " in line
        assert line.endswith(f"{meant} (line 2, column {column})")

    @pytest.mark.parametrize(
        ("text", "path", "value"),
        [
            ("mqtt: {protocol: 5}", "mqtt.protocol", "5"),
            ("mqtt: {username: 0042}", "mqtt.username", "0042"),
            ("mqtt: {username: no}", "mqtt.username", "no"),
            ("mqtt: {username: true}", "mqtt.username", "true"),
            ("mqtt: {username: 1.50}", "mqtt.username", "1.50"),
            ("mqtt: {client_id: 7}", "mqtt.client_id", "7"),
            ("mqtt: {base_topic: 1_0}", "mqtt.base_topic", "1_0"),
            ("door: {id: 12}", "door.id", "12"),
            ("door: {name: 0x10}", "door.name", "0x10"),
            (
                "access: {groups: {7: {hours: always}}, default_group: 7}",
                "access.default_group",
                "7",
            ),
            ("store: {folder: 12}", "store.folder", Path("12")),
        ],
    )
    def test_a_text_may_be_written_as_a_number_and_keeps_its_characters(
        self, text: str, path: str, value: object
    ) -> None:
        assert value_at(parse(text), path) == value

    @pytest.mark.parametrize(
        ("written", "value"), [("5", 5.0), ("1.5", 1.5), (".5", 0.5), ("+5", 5.0), ("1e1", 10.0)]
    )
    def test_plain_numbers_are_numbers(self, written: str, value: float) -> None:
        assert parse(f"door: {{open_s: {written}}}").door.open_s == value

    @pytest.mark.parametrize(
        ("name", "close"), [("front door", "front_door"), ("Haustür", "Haustur"), ("дверь", None)]
    )
    def test_a_name_with_other_characters_says_which_may_be_used(
        self, name: str, close: str | None
    ) -> None:
        (_, line) = mistakes(f"door: {{id: {name}}}")
        assert f"door.id: '{name}' may have letters from a to z and A to Z, digits, _ and -" in line
        assert ("; write" in line) == (close is not None)
        assert close is None or f"; write {close} (line 1" in line

    @pytest.mark.parametrize("hours", ["22:00", "7", "0730", "null"])
    def test_hours_that_are_no_range_say_what_one_looks_like(self, hours: str) -> None:
        (_, line) = mistakes(f"access: {{groups: {{staff: {{hours: {{mon-fri: {hours}}}}}}}}}")
        assert "such as 09:00-17:00" in line
        assert line.startswith("access.groups.staff.hours.mon-fri: ")

    def test_what_is_merged_counts_and_what_is_written_beside_it_goes_before(self) -> None:
        inputs = parse(
            "inputs:\n  exit: &one {pin: 23, pull: none}\n  contact:\n    <<: *one\n    pin: 24\n"
        ).inputs
        assert inputs.contact is not None
        assert (inputs.contact.pin, inputs.contact.pull) == (24, "none")

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("door: {<<: 5}", "line 1, column 12: << takes a section"),
            ("door: &a {id: *a}", "line 1, column 7: it holds itself"),
            ("door: &a {<<: *a}", "line 1, column 7: it holds itself"),
            ("relay: {pin: !!int '17'}", "line 1, column 14: a tag such as !!int"),
            ("? [a]\n: b", "line 1, column 3: a list or section is no name"),
            ("log: \x07", "line 1, column 6: a character that cannot be seen"),
            ("x: " + "[" * 2000, "nested too deeply"),
            (BILLION, "20000 values"),
        ],
    )
    def test_what_yaml_could_say_and_lockd_does_not_take_is_refused_in_words(
        self, text: str, said: str
    ) -> None:
        assert said in mistakes(text)[0]

    def test_no_mistake_speaks_in_patterns_or_types(self) -> None:
        for path in leaves(Settings):
            for value in ("'^$ ~'", "-1", "[[]]", "{a: b}", "null", "1e9", "true"):
                *sections, key = path.split(".")
                text = "".join(f"{'  ' * at}{one}:\n" for at, one in enumerate(sections))
                try:
                    parse(f"{text}{'  ' * len(sections)}{key}: {value}")
                except ConfigError as error:
                    said = str(error)
                    assert "line" in said or "has no effect" in said, said
                    for jargon in (
                        "pattern",
                        "Input should",
                        "valid string",
                        "[a-z",
                        "None",
                        "regex",
                    ):
                        assert jargon not in said, said


class TestBroker:
    @pytest.mark.parametrize("setting", ["base_topic", "home_assistant: {prefix"])
    @pytest.mark.parametrize(
        ("topic", "reason"),
        [
            ("$SYS/lockd", "is the broker's own"),
            ("$share/group/lockd", "shares a subscription"),
            ("$lockd", "is the broker's own"),
            ("/lockd", "a / with nothing before or behind it"),
            ("lockd/", "a / with nothing before or behind it"),
            ("a//b", "a / with nothing before or behind it"),
            ("a/+/b", "+ and # may not be in it"),
            ("lockd/#", "+ and # may not be in it"),
            ("a\0b", "a character that cannot be seen"),
            ("a\nb", "a character that cannot be seen"),
            (" lockd", "no space at its ends"),
            ("", "must have 1 to 128 characters"),
        ],
    )
    def test_a_topic_that_cannot_work_is_refused_with_the_reason(
        self, setting: str, topic: str, reason: str
    ) -> None:
        (_, line) = mistakes(f"mqtt: {{{setting}: {json.dumps(topic)}{'}' * setting.count('{')}}}")
        assert reason in line

    @pytest.mark.parametrize(
        ("host", "reason"),
        [
            ("127.0.0.1:1883", "the port has a setting of its own, mqtt.port"),
            ("broker:1883", "the port has a setting of its own, mqtt.port"),
            ("[::1]:1883", "the port has a setting of its own, mqtt.port"),
            ("[::1]", "write host: ::1"),
            ("mqtt://broker", "is a URL; write the host alone"),
            ("mqtts://a:Sesame42@broker", "is a URL; write the host alone"),
            ("my broker", "has a space"),
            (" broker", "has a space"),
            ("", "has a space or nothing in it"),
            ("broker/x", "has / in it"),
            ("a@broker", "has @ in it"),
        ],
    )
    def test_a_host_that_is_more_or_less_than_one_is_refused_with_the_reason(
        self, host: str, reason: str
    ) -> None:
        (_, line) = mistakes(f"mqtt: {{host: {json.dumps(host)}}}")
        assert reason in line
        assert "Sesame42" not in line

    @pytest.mark.parametrize("host", ["broker", "broker.local", "127.0.0.1", "::1", "fe80::1%eth0"])
    def test_names_and_addresses_are_hosts(self, host: str) -> None:
        assert parse(f"mqtt: {{host: '{host}'}}").mqtt.host == host

    @pytest.mark.parametrize(("tls", "encrypted"), [("", True), ("~", True), ("null", False)])
    def test_only_null_in_so_many_letters_means_no_encryption(
        self, tls: str, encrypted: bool
    ) -> None:
        assert (parse(f"mqtt:\n  tls: {tls}\n").mqtt.tls is not None) is encrypted


class TestSources:
    @pytest.mark.parametrize(
        ("written", "meant"),
        [
            ("RTSP://admin:Secret42@127.0.0.1:554/x", "rtsp://admin:Secret42@127.0.0.1:554/x"),
            (" rtsp://a:b@h/x ", "rtsp://a:b@h/x"),
            (
                "http://admin:p@ss#w/rd?1@127.0.0.1/v",
                "http://admin:p%40ss%23w%2Frd%3F1@127.0.0.1/v",
            ),
            ("http://admin:p/w@host/v", "http://admin:p%2Fw@host/v"),
            ("http://admin:p%40w@host/v", "http://admin:p%40w@host/v"),
            ("http://admin:100%@host/v", "http://admin:100%25@host/v"),
            ("http://host/x?mail=me@home", "http://host/x?mail=me@home"),
            ("http://a:b@10.0.0.1/x@y", "http://a:b@10.0.0.1/x@y"),
            ("rtsp://[::1]:554/x", "rtsp://[::1]:554/x"),
            ("CSI:1", "csi:1"),
            ("/clips/12:30@porch.mp4", "/clips/12:30@porch.mp4"),
        ],
    )
    def test_a_source_is_read_as_it_was_meant(self, written: str, meant: str) -> None:
        assert parse(f"camera: {{source: '{written}'}}").camera.source == meant

    @pytest.mark.parametrize(
        ("written", "said"),
        [
            ("rtmp://a:Sesame42@h/x", "rtmp: is nothing that lockd can open"),
            ("srt://h:9?passphrase=Sesame42", "srt: is nothing that lockd can open"),
            ("rtsp:/a:Sesame42@h", "with two slashes"),
            ("rtsp:a:Sesame42@h", "looks like a camera's address"),
            ("a:Sesame42@h/x", "looks like a camera's address"),
            ("//a:Sesame42@h/x", "looks like a camera's address"),
            ("192.168.1.5/user=a&password=Sesame42", "looks like a camera's address"),
            ("file:///clips/porch.mp4", "write a file's path alone"),
            ("http://a:12/Sesame42@h/x", None),
            ("http://a:p@h/Sesame42@h/x", "@ as %40, : as %3A, / as %2F, ? as %3F, # as %23"),
            ("rtsp://a:Sesame42", "names no host, or a port that is none"),
            ("rtsp://", "names no host"),
            ("http://a:Sesame42@h:99999/", "a port that is none"),
            ("http://a:Sesame42@h x/", "has a space"),
            ("12:30@porch.mp4", "looks like a camera's address"),
            ("64", "write 0 to 63"),
            ("017", "write 0 to 63"),
        ],
    )
    def test_what_is_no_source_is_refused_without_its_password(
        self, written: str, said: str | None
    ) -> None:
        (_, line) = mistakes(f"camera: {{source: '{written}'}}")
        assert line.startswith("camera.source: ")
        assert said is None or said in line
        assert "Sesame42" not in line


@pytest.mark.parametrize(
    ("setting", "value", "needs"),
    [
        ("anti_tailgate", True, "contact"),
        ("relock", "on_open", "contact"),
        ("tamper_locks_down", True, "tamper"),
        ("exit_releases", False, "exit"),
    ],
)
def test_what_needs_an_input_is_refused_without_it(setting: str, value: Any, needs: str) -> None:
    text = yaml.safe_dump({"door": {setting: value}})
    (_, line) = mistakes(text)
    assert f"door.{setting}" in line
    assert f"has no effect without inputs.{needs}" in line
    parse(text + yaml.safe_dump({"inputs": {needs: {"pin": 23}}}))


WIEGAND = "wiegand: {d0_pin: 5, d1_pin: 6}"


class TestSecondFactor:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("second_factor: {alone: [pin]}", "alone: pin has no effect without keypad"),
            ("second_factor: {alone: [card]}", "alone: card has no effect without reader"),
            (f"second_factor: {{{WIEGAND}, alone: [pin]}}", "can be guessed; use at least 6"),
            ("second_factor: {least_digits: 9}", "is more than most_digits: 8"),
            ("second_factor: {least_digits: 3}", "from 4 to 12"),
            ("second_factor: {confirm: true}", "no effect without mqtt.host"),
            ("second_factor: {wiegand: {d0_pin: 17, d1_pin: 6}}", "relay.pin and second_factor"),
            ("second_factor: {wiegand: {d0_pin: 5, d1_pin: 5}}", "are both 5"),
            (f"relay: {{factory: rpigpio}}\nsecond_factor: {{{WIEGAND}}}", "misses pulses"),
            (
                "second_factor: {keypad: {device: /dev/a}, reader: {device: /dev/a}}",
                "give each its own device",
            ),
            ("second_factor: {wrong_tries: {free: 0}}", "from 1 to 20"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(self, text: str, said: str) -> None:
        assert any(said in line for line in mistakes(text))

    def test_what_can_be_asked_for_is_what_there_is_a_device_for(self) -> None:
        assert parse("").second_factor.kinds == frozenset()
        assert parse("second_factor: {keypad: {device: /dev/a}}").second_factor.kinds == {"pin"}
        assert parse("second_factor: {reader: {device: /dev/a}}").second_factor.kinds == {"card"}
        assert parse(f"second_factor: {{{WIEGAND}}}").second_factor.kinds == {"pin", "card"}
        confirm = (
            "mqtt: {host: h, commands: {allow: {confirm: [a]}}}\nsecond_factor: {confirm: true}"
        )
        assert parse(confirm).second_factor.kinds == {"confirm"}


# The camera for near infrared


def test_a_second_camera_takes_what_a_camera_does(tmp_path: Path) -> None:
    file = tmp_path / "lockd.yaml"
    file.write_text(
        "camera: {source: 0, infrared: {source: night.mp4, rotate: 90, shift_x: 0.1}}\n"
    )
    infrared = load(file).camera.infrared
    assert infrared is not None
    assert (infrared.source, infrared.rotate) == (str(tmp_path / "night.mp4"), 90)
    assert (infrared.shift_x, infrared.zoom, infrared.frozen_after_s) == (0.1, 1.0, 30.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("camera: {infrared: {source: 1}}\nliveness: {policy: off}", "infrared has no effect"),
        ("camera: {infrared: {source: 1, shift_x: 0.6}}", "camera.infrared.shift_x"),
        ("camera: {infrared: {source: 1, infrared: {source: 2}}}", "infrared.infrared"),
    ],
)
def test_what_a_second_camera_cannot_do_is_a_mistake(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(text)


def test_a_group_that_is_asked_something_is_enough_for_a_second_camera() -> None:
    parse(
        "camera: {infrared: {source: 1}}\nliveness: {policy: off}\n"
        "access: {groups: {cleaners: {hours: always, liveness: passive}}}"
    )
