"""No command says a secret that is in a URL, whatever becomes of it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from enroll.cli import main as lockd_enroll
from lockd.commands.doctor.camera import camera
from lockd.commands.doctor.findings import Machine
from lockd.commands.main import main as lockd
from lockd.errors import redacted, scrubbed
from tests.adapters.test_cameras_network import SECRET, addresses

STYLES = {
    "quoted": lambda url: f"camera:\n  source: {json.dumps(url)}\n",
    "dumped": lambda url: yaml.safe_dump({"camera": {"source": url}}),
    "plain": lambda url: f"camera:\n  source: {url}\n",
    "in_braces": lambda url: f"camera: {{source: {url}}}\n",
    "a_level_too_high": lambda url: f"camera: {json.dumps(url)}\n",
    "in_a_list": lambda url: f"camera: {{source: [{json.dumps(url)}]}}\n",
    "as_a_key": lambda url: f"camera: {{{json.dumps(url)}: 0}}\n",
    "as_all_there_is": json.dumps,
    "as_the_broker": lambda url: f"mqtt: {{host: {json.dumps(url)}}}\n",
}


def said_by(command: Any, *arguments: str) -> str:
    result = CliRunner().invoke(command, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output + result.stderr


@settings(max_examples=400, deadline=None)
@given(addresses(), st.sampled_from(sorted(STYLES)))
def test_no_secret_is_in_what_check_config_says(url: str, style: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lockd.yaml"
        file.write_text(STYLES[style](url))
        said = said_by(lockd, "check-config", "--config", str(file))
    assert said
    assert SECRET not in said


@settings(max_examples=300, deadline=None)
@given(addresses())
def test_no_secret_is_left_in_what_was_redacted_and_once_is_enough(url: str) -> None:
    assert SECRET not in redacted(url)
    assert redacted(redacted(url)) == redacted(url)
    if "://" in url and not {" ", ","} & set(url.strip()):
        assert SECRET not in scrubbed(f"camera ({url}): broke, as {url!r} does; {url}: gone")


@settings(max_examples=10, deadline=None)
@given(addresses())
def test_no_secret_is_in_what_other_commands_say(url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lockd.yaml"
        file.write_text(yaml.safe_dump({"camera": {"source": url, "open_timeout_s": 1}}))
        given_file = ("--config", str(file))
        said = [
            said_by(lockd, "replay", url),
            said_by(lockd, "bench", *given_file, "--seconds", "nothing"),
            said_by(lockd, "run", *given_file)
            if "1 mistake" in said_by(lockd, "check-config", *given_file)
            else "",
        ]
        try:
            said += [str(one) for one in camera(Machine(file, root=Path(folder)))]
        except ValueError as error:
            said.append(str(error))
    assert SECRET not in "".join(said)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (lockd, ["{}"]),
        (lockd, ["replay", "clip.mp4", "{}"]),
        (lockd, ["identify", "{}"]),
        (lockd, ["run", "{}"]),
        (lockd, ["demo", "--camera", "{}"]),
        (lockd, ["check-config", "--config", "{}"]),
        (lockd_enroll, ["add", "Ada", "--camera", "{}", "--timeout", "1"]),
        (lockd_enroll, ["add", "Ada", "{}"]),
    ],
)
def test_a_wrong_command_line_is_quoted_without_the_secret(
    command: Any, arguments: list[str]
) -> None:
    url = f"rtsp://admin:{SECRET}@127.0.0.1:1/live"
    said = said_by(command, *(one.format(url) for one in arguments))
    assert said
    assert SECRET not in said
