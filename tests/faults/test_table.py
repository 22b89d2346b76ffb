"""The table in the documentation, and the tests, agree."""

from __future__ import annotations

import ast
import re

from tests.conftest import ROOT

DOCS = ROOT / "docs" / "faults.md"
ROW = re.compile(r"^\| (?P<fault>[^|]+) \| (?P<promise>[^|]+) \| `(?P<test>test_\w+)` \|$", re.M)
LEAST = 30


def rows() -> list[tuple[str, str, str]]:
    return ROW.findall(DOCS.read_text("utf-8"))


def fault_tests() -> set[str]:
    """The tests of the files that are named after faults."""
    found = set()
    for file in (ROOT / "tests" / "faults").glob("test_*_faults.py"):
        for node in ast.parse(file.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found.add(node.name)
    return found


def test_every_fault_in_the_table_has_a_test_and_every_test_a_fault() -> None:
    assert {test for _, _, test in rows()} == fault_tests()


def test_no_line_of_a_table_was_overlooked() -> None:
    faults = DOCS.read_text("utf-8").partition("## The soak")[0]
    lines = [line for line in faults.splitlines() if line.startswith("|")]
    tables = sum(line.startswith("|---") for line in lines)
    assert len(rows()) == len(lines) - 2 * tables


def test_there_are_enough_of_them() -> None:
    assert len({fault for fault, _, _ in rows()}) == len(rows()) >= LEAST
