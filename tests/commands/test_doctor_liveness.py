"""What `lockd doctor` and `check-config` say of photographs that could open the door."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from lockd.commands.doctor.findings import Machine, Status
from lockd.commands.doctor.liveness import liveness
from lockd.commands.main import main


@pytest.mark.parametrize(
    ("text", "status", "says"),
    [
        ("signals: {screen: true}", Status.OK, "graded"),
        ("", Status.PROBLEM, "signals.left_led"),
        ("liveness: {policy: second_factor}", Status.PROBLEM, "configure second_factor"),
        ("liveness: {policy: off}", Status.WARNING, "398 of 400"),
    ],
)
def test_photographs(text: str, status: Status, says: str, tmp_path: Path) -> None:
    file = tmp_path / "lockd.yaml"
    file.write_text(text)
    (finding,) = liveness(Machine(config_file=file))
    assert finding.status is status
    assert says in f"{finding.text}: {finding.mend}"
    result = CliRunner().invoke(main, ["check-config", "--config", str(file)])
    assert result.exit_code == 0
    assert (says in result.stderr.replace("\n", " ")) is (status is not Status.OK)
