"""What several adapters' tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adapters.studio import Studio


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    made = Studio(monkeypatch)
    yield made
    made.take_down()
