"""The commands: what they promise in their help, and how they end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from enroll.cli import main as enrol
from lockd import __version__, errors
from lockd.commands.main import main
from lockd.config import Settings
from lockd.console import EXIT_CODES, reported
from lockd.errors import LockdError
from tests.conftest import CLIP, PEOPLE, ROOT
from tests.pictures import OBAMA

ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, LockdError)
]
COMMANDS = main.list_commands(click.Context(main))


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def written(folder: Path, text: str) -> Path:
    path = folder / "lockd.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("entry", "arguments", "spared"),
    [
        ("lockd.commands.main", ["send"], {"cv2", "numpy", "sqlite3", "cryptography", "gpiozero"}),
        (
            "lockd.commands.main",
            ["door"],
            {"cv2", "numpy", "sqlite3", "cryptography", "gpiozero", "paho"},
        ),
        ("lockd.commands.main", ["watch"], {"cv2", "numpy", "sqlite3", "cryptography", "gpiozero"}),
        (
            "lockd.commands.main",
            ["run"],
            {"cv2", "numpy", "sqlite3", "cryptography", "gpiozero", "paho"},
        ),
        ("enroll.cli", ["list"], {"cv2", "gpiozero", "paho"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_a_command_is_not_kept_waiting_by_what_it_does_not_need(
    entry: str, arguments: list[str], spared: set[str]
) -> None:
    """A small board takes seconds to import it all."""
    code = (
        f"import sys; from {entry} import main; "
        f"main({[*arguments, '--help']!r}, standalone_mode=False); "
        "print(*(name for name in sys.modules if '.' not in name), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not spared & set(done.stderr.split())


@pytest.mark.parametrize("entry", ["lockd.__main__", "enroll.cli"])
def test_the_list_of_commands_needs_nothing_but_click(entry: str) -> None:
    program = (
        "import click, sys; click.Group('x').main(['--help'], standalone_mode=False); "
        "before = set(sys.modules); sys.argv[1:] = ['--help']; "
        f"from {entry} import main\n"
        "try: main()\n"
        "except SystemExit: print(*sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    brought = done.stderr.split()
    assert "lockd.console" in brought
    assert [name for name in brought if not name.startswith(("lockd", "enroll"))] == []


class TestHelp:
    @pytest.mark.parametrize("flag", ["--help", "-h"])
    def test_it_lists_every_command(self, flag: str) -> None:
        result = run(flag)
        assert result.exit_code == 0
        for name in COMMANDS:
            assert re.search(rf"^  {name} ", result.stdout, re.MULTILINE)
        assert {"run", "replay", "identify", "demo", "bench"} < set(COMMANDS)

    def test_it_explains_every_exit_code(self) -> None:
        assert EXIT_CODES.removeprefix("\b\n").strip().splitlines()[0] in run("--help").stdout

    @pytest.mark.parametrize("name", COMMANDS)
    def test_every_command_explains_itself(self, name: str) -> None:
        result = run(name, "--help")
        assert result.exit_code == 0
        assert len(result.stdout.splitlines()) > 4

    def test_the_version_is_told(self) -> None:
        assert run("--version").stdout == f"lockd, version {__version__}\n"

    @pytest.mark.parametrize("words", [["hold-open"], ["unlock", "--seconds", "5"]])
    def test_only_holding_open_takes_a_time_and_it_needs_one(self, words: list[str]) -> None:
        assert run("door", *words).exit_code == 2

    def test_a_command_that_does_not_exist_is_wrong_usage(self) -> None:
        result = run("open-sesame")
        assert result.exit_code == 2
        assert "No such command 'open-sesame'." in result.stderr
        assert "Did you mean" not in result.stderr

    @pytest.mark.parametrize(
        ("words", "meant"),
        [
            (["replya"], "replay"),
            (["Door"], "door"),
            (["checkconfig"], "check-config"),
            (["store", "chek"], "check"),
            (["evaluate", "opneset"], "open-set"),
            (["command-key", "ad"], "add"),
            (["home-assistant", "shwo"], "show"),
            (["door", "unlok"], "unlock"),
            (["send", "lock_down"], "lock-down"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else None,
    )
    def test_a_mistyped_command_is_told_with_what_was_meant(
        self, words: list[str], meant: str
    ) -> None:
        result = run(*words)
        assert result.exit_code == 2
        assert result.stderr.count(f"Did you mean '{meant}'?") == 1

    def test_enrolment_tells_it_too(self) -> None:
        result = CliRunner().invoke(enrol, ["lst"])
        assert result.exit_code == 2
        assert "No such command 'lst'. Did you mean 'list'?" in result.stderr


class TestExitCodes:
    def test_every_kind_of_error_has_its_own(self) -> None:
        codes = [kind.exit_code for kind in ERRORS]
        assert len(ERRORS) > 5
        assert len(set(codes)) == len(codes)
        assert not {0, 2} & set(codes)

    def test_the_help_explains_each_and_no_other(self) -> None:
        explained = {
            int(code) for code in re.findall(r"(?:^| )(\d+)  \w", EXIT_CODES, re.MULTILINE)
        }
        assert explained == {kind.exit_code for kind in ERRORS} | {0, 2}

    @pytest.mark.parametrize(
        ("kind", "word"),
        [
            ("ConfigError", "configuration"),
            ("ModelError", "networks"),
            ("StoreError", "store"),
            ("CameraError", "camera"),
            ("PinError", "relay"),
            ("ImageError", "photograph"),
            ("PersonError", "person"),
            ("BusError", "MQTT"),
        ],
    )
    def test_the_help_says_what_the_code_means(self, kind: str, word: str) -> None:
        code = getattr(errors, kind).exit_code
        assert re.search(rf"\b{code}  [^0-9]*{word}", EXIT_CODES)

    @pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
    def test_an_error_ends_the_command_with_its_code_and_no_traceback(
        self, kind: type[LockdError]
    ) -> None:
        @click.command()
        @reported
        def failing() -> None:
            raise kind("door.open_s: [bold]-3[/] is no duration")

        result = CliRunner().invoke(failing)
        assert result.exit_code == kind.exit_code
        assert result.stderr == "error: door.open_s: [bold]-3[/] is no duration\n"
        assert result.stdout == ""

    @pytest.mark.parametrize("kind", ERRORS[1:], ids=lambda kind: kind.__name__)
    def test_an_error_is_also_the_builtin_that_a_caller_would_expect(
        self, kind: type[LockdError]
    ) -> None:
        assert issubclass(kind, ValueError | RuntimeError | OSError)

    def test_a_reader_who_leaves_early_gets_no_traceback(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "wb") as nobody_reads:
            ended = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "lockd.commands.main",
                    "check-config",
                    "--config",
                    os.devnull,
                ],
                stdout=nobody_reads,
                stderr=subprocess.PIPE,
                cwd=ROOT,
                check=False,
                text=True,
            )
        assert "Traceback" not in ended.stderr
        assert "BrokenPipe" not in ended.stderr
        assert ended.returncode == 0


class TestCheckConfig:
    def test_it_prints_every_setting_in_effect(self, tmp_path: Path) -> None:
        config = written(tmp_path, "door:\n  open_s: 9\n")
        result = run("check-config", "--config", config)
        assert result.exit_code == 0
        assert f"{config}: good" in result.stderr
        shown = yaml.safe_load(result.stdout)
        assert shown["door"] == {**Settings().door.model_dump(mode="json"), "open_s": 9.0}
        assert shown.keys() == Settings.model_fields.keys()

    def test_without_a_file_it_says_that_the_defaults_hold(self) -> None:
        result = run("check-config")
        assert "no file, the defaults: good" in result.stderr
        shown = yaml.safe_load(result.stdout)
        assert shown["quality"] == Settings().quality.model_dump(mode="json")

    def test_what_is_in_effect_without_being_set_is_printed_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/lockd")
        monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/lockd")
        monkeypatch.setenv("TZ", "Europe/Berlin")
        config = written(
            tmp_path,
            "door: {id: back}\nmqtt: {host: broker, tls: {}}\n"
            "camera: {source: 'https://porch/'}\naccess: {groups: {all: {hours: always}}}\n",
        )
        shown = yaml.safe_load(run("check-config", "--config", config).stdout)
        assert shown["recognition"]["accept"] == 0.41
        assert shown["recognition"]["models"] == str(ROOT / "models")
        assert shown["store"]["folder"] == "/var/lib/lockd"
        assert shown["store"]["key_file"] == "/var/lib/lockd/template-key"
        assert shown["mqtt"]["commands"]["keys_file"] == "/var/lib/lockd/command-keys"
        assert shown["mqtt"]["client_id"] == "lockd-back"
        assert shown["mqtt"]["tls"]["ca_file"] == shown["camera"]["ca_file"]
        assert shown["camera"]["ca_file"].startswith("/")
        assert shown["camera"]["region"] == {"x": 0, "y": 0, "width": 1, "height": 1}
        assert shown["control"]["socket"] == "/run/lockd/control"
        assert shown["access"]["timezone"] == "Europe/Berlin"
        assert shown["access"]["groups"]["all"]["hours"] == "always"

    @pytest.mark.parametrize(
        ("profile", "accept"), [("accurate", 0.41), ("light", 0.4), ("facenet", 0.7)]
    )
    def test_the_least_similarity_is_the_manifests_for_the_profile(
        self, tmp_path: Path, profile: str, accept: float
    ) -> None:
        config = written(tmp_path, f"recognition: {{profile: {profile}}}\n")
        shown = yaml.safe_load(run("check-config", "--config", config).stdout)
        assert shown["recognition"]["accept"] == accept

    def test_without_a_manifest_it_says_so_and_the_file_is_good_all_the_same(
        self, tmp_path: Path
    ) -> None:
        config = written(tmp_path, "recognition: {models: gone}\n")
        result = run("check-config", "--config", config)
        assert result.exit_code == 0
        assert "gone/manifest.json: No such file" in result.stderr

    def test_what_it_prints_is_a_configuration_with_the_same_meaning(self, tmp_path: Path) -> None:
        config = written(tmp_path, "door: {id: 007, name: 1e3}\nmqtt: {username: 'no'}\n")
        first = run("check-config", "--config", config).stdout
        assert run("check-config", "--config", written(tmp_path, first)).stdout == first

    def test_an_unverified_camera_is_pointed_out(self, tmp_path: Path) -> None:
        config = written(tmp_path, "camera: {source: 'https://porch/', tls: unverified}\n")
        result = run("check-config", "--config", config)
        assert "camera.tls: unverified: whoever is on the wire" in result.stderr

    def test_it_finds_the_file_that_the_environment_names(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LOCKD_CONFIG", str(written(tmp_path, "log: debug\n")))
        assert yaml.safe_load(run("check-config").stdout)["log"] == "debug"

    def test_every_mistake_is_told_at_once(self, tmp_path: Path) -> None:
        config = written(tmp_path, "log: loud\ndoor:\n  open_s: -3\nrelai: {}\n")
        result = run("check-config", "--config", config)
        assert result.exit_code == 3
        assert result.stdout == ""
        assert "3 mistakes" in result.stderr
        for line in ("log: 'loud' is wrong", "door.open_s: -3 is wrong", "did you mean relay?"):
            assert line in result.stderr

    def test_a_file_that_is_not_there_is_exit_code_3(self, tmp_path: Path) -> None:
        assert run("check-config", "--config", tmp_path / "gone.yaml").exit_code == 3

    @pytest.mark.parametrize("file", ["lockd.yaml", "demo.yaml"])
    def test_the_files_that_come_along_are_good(self, file: str) -> None:
        assert run("check-config", "--config", ROOT / "config" / file).exit_code == 0


class TestFailures:
    def test_replaying_a_file_that_is_not_there_is_exit_code_6(self, tmp_path: Path) -> None:
        missing = tmp_path / "porch.mp4"
        result = run("replay", missing, "--gallery", PEOPLE)
        assert result.exit_code == 6
        assert f"{missing}: no such file or folder" in result.stderr

    def test_replaying_a_camera_is_refused(self) -> None:
        result = run("replay", "63", "--gallery", PEOPLE)
        assert result.exit_code == 6
        assert "/dev/video63" in result.stderr

    @pytest.mark.parametrize("command", [["identify", OBAMA], ["replay", CLIP], ["bench"]])
    def test_networks_that_are_not_there_are_exit_code_4(
        self, tmp_path: Path, command: list[object]
    ) -> None:
        config = written(tmp_path, "recognition:\n  models: nowhere\n")
        result = run(*command, "--config", config)
        assert result.exit_code == 4
        assert str(tmp_path / "nowhere" / "manifest.json") in result.stderr

    def test_a_runtime_that_is_not_installed_is_exit_code_4(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", None)
        config = written(tmp_path, "recognition:\n  runtime: tflite-runtime\n")
        result = run("identify", OBAMA, "--config", config)
        assert result.exit_code == 4
        assert "pip install tflite-runtime" in result.stderr

    def test_the_simulated_relay_can_always_be_made_safe(self, tmp_path: Path) -> None:
        config = written(tmp_path, "relay:\n  factory: mock\n")
        assert run("relay-safe", "--config", config).exit_code == 0
