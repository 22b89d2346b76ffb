"""Doors for the fault tests."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.site import Site, enroll


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the people of the demo in it; copy it before use."""
    return enroll(tmp_path_factory.mktemp("people"))


@pytest.fixture
def sites(people: Path) -> Iterator[Callable[..., Site]]:
    """Makes sites, with sections of settings and `unit` for the manager's times."""
    made: list[Site] = []

    def make(**sections: Any) -> Site:
        made.append(Site(sections.pop("people", people), **sections))
        return made[-1]

    make.made = made  # type: ignore[attr-defined]
    yield make
    for site in made:
        site.close()


class _Shared:
    """The site that tests share for as long as each leaves it well."""

    site: Site | None = None


@pytest.fixture(scope="package")  # it would be in the way of the tests of other folders
def _shared() -> Iterator[_Shared]:
    shared = _Shared()
    yield shared
    if shared.site is not None:
        shared.site.close()


@pytest.fixture
def site(_shared: _Shared, people: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A door that is running and well, and has to be so again after the test."""
    if _shared.site is None:
        _shared.site = Site(people)
        _shared.site.start()
    site, _shared.site = _shared.site, None
    yield site
    if request.node.stash.get(_PASSED, False) and site.manager.state == "running":
        _shared.site = site
    else:
        site.close()


_PASSED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Tell the shared site's fixture how it went, and show what happened in a test that failed."""
    report = yield
    if report.when == "call":
        item.stash[_PASSED] = report.passed
        if report.failed:
            arguments = getattr(item, "funcargs", {})
            made = [*getattr(arguments.get("sites"), "made", []), arguments.get("site")]
            for site in filter(None, made):
                report.sections.append(("what happened", site.story()))
    return report
