"""The lock: every version with its hashes, and the part of it that somebody wants."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from lockd.commands.install import lock
from lockd.errors import InstallError
from tests.conftest import ROOT
from tools.audit_report import report

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCK = (ROOT / lock.LOCK).read_text("utf-8")
EXTRAS = ("build", "demo", "docs", "evaluate", "pi", "test")
MADE_UP = """\
# A remark.
alpha==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:ab
    # via lockd (pyproject.toml)
beta.One==2.0 ; python_full_version < '3.12' \\
    --hash=sha256:ba
    # via alpha, gamma
beta-one==3.0 ; python_full_version >= '3.12' \\
    --hash=sha256:bb
    # via alpha, gamma
gamma==1 \\
    --hash=sha256:ca
    # via lockd (pyproject.toml)
delta==1 \\
    --hash=sha256:da
    # via beta-one
"""


def chosen(*direct: str) -> list[str]:
    return [f"{one.name} {one.version}" for one in lock.chosen(lock.read(MADE_UP), direct)]


def test_what_is_needed_by_what_is_wanted_is_picked() -> None:
    assert chosen("gamma") == ["beta-one 2.0", "beta-one 3.0", "gamma 1", "delta 1"]
    assert chosen("delta") == [], "lockd does not name it"
    assert [one.text for one in lock.chosen(lock.read(MADE_UP), ["alpha"])][:2] == [
        "alpha==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:ab\n",
        "beta.One==2.0 ; python_full_version < '3.12' \\\n    --hash=sha256:ba\n",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alpha==1.0\n",
        "alpha>=1 \\\n    --hash=sha256:aa\n    # via x\n",
        "alpha==1\n    # via x\n",
    ],
)
def test_what_has_no_version_or_no_hash_is_no_lock(text: str) -> None:
    with pytest.raises(InstallError, match="no line of a lock"):
        lock.read(text)


def test_extras_of_extras_are_followed() -> None:
    project = {
        "dependencies": ["One>=1", "two_three[x]<2; python_version > '3'"],
        "optional-dependencies": {
            "a": ["lockd[b, c]", "four"],
            "b": ["five"],
            "c": [],
            "d": ["no"],
        },
    }
    assert lock.direct(project, ["a"]) == {"one", "two-three", "four", "five"}


@pytest.mark.parametrize("python", ["3.11.2", "3.13.5"])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("extra", EXTRAS)
def test_all_that_the_project_names_is_locked_once_for_each_machine(
    extra: str, machine: str, python: str
) -> None:
    """`make lock` was run after the last change of pyproject.toml."""
    environment = {
        "platform_machine": machine,
        "platform_system": "Linux",
        "sys_platform": "linux",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "python_full_version": python,
        "python_version": python[:4],
        "extra": "",
    }
    versions: dict[str, Version] = {}
    for line in re.findall(r"^[^ \n].*", lock.requirements(ROOT, extra), re.M):
        one = Requirement(line.rstrip(" \\"))
        if one.marker is None or one.marker.evaluate(environment):
            name = canonicalize_name(one.name)
            assert name not in versions
            (pinned,) = one.specifier
            versions[name] = Version(pinned.version)
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]]
    for requirement in map(Requirement, wanted):
        if requirement.name != "lockd":
            assert versions[canonicalize_name(requirement.name)] in requirement.specifier


def test_a_service_needs_nothing_that_only_tests_need() -> None:
    names = {one.name for one in lock.chosen(lock.read(LOCK), lock.direct(PROJECT, ["pi"]))}
    assert {"numpy", "lgpio", "pydantic-core"} <= names
    assert not names & {"pytest", "amqtt", "matplotlib", "ruff"}


def test_whoever_locks_tells_nobody_where_packages_are_fetched_from() -> None:
    assert not re.findall(r"https?:|index-url|find-links", LOCK)


def audited(*found: dict[str, object]) -> tuple[list[str], int]:
    known: dict[str, object] = {"version": "1", "vulns": []}
    many = [{"name": f"known-{number}", **known} for number in range(30)]
    return report({"dependencies": [*many, *found]})


def test_the_audit_names_weaknesses_and_what_it_could_not_look_at() -> None:
    weak = {
        "name": "weak", "version": "1.0",
        "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1", "2.0"]}],
    }  # fmt: skip
    unknown = {"name": "unknown", "skip_reason": "not found"}
    assert audited()[1] == 0
    lines, code = audited(unknown)
    assert code == 0
    assert lines[0] == "not in the list, so not looked at: unknown"
    lines, code = audited(weak, unknown)
    assert (lines[0], code) == ("weak 1.0: PYSEC-1, mended in 1.1, 2.0", 1)
    assert lines[-1] == "31 of 32 versions were looked at"


def test_a_list_that_does_not_answer_is_no_good_news() -> None:
    unknown = [{"name": f"unknown-{number}", "skip_reason": "not found"} for number in range(9)]
    assert audited(*unknown)[1] == 2
    assert report({"dependencies": []})[1] == 2
