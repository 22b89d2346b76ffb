"""A house for each test, and one for tests that only look."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.house import Console, House, a_house


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[House, Console]]:
    with a_house(tmp_path) as both:
        yield both


@pytest.fixture
def house(both: tuple[House, Console]) -> House:
    return both[0]


@pytest.fixture
def console(both: tuple[House, Console]) -> Console:
    return both[1]
