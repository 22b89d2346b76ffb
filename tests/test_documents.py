"""What the documents name is there: tests, files, pages and their headings."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tools.check_files import mistakes

PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    ROOT / "models" / "README.md",
    ROOT / "firmware" / "README.md",
]
PROMISES = ("SECURITY.md", "CONTRIBUTING.md")
FENCED = re.compile(r"^( *)(```|~~~).*?^\1\2", re.M | re.S)
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.M)
LINK = re.compile(r"\]\(<?([^)\s>]+)>?\)")
CODE = re.compile(r"`([^`\n]+)`")
# What is told from a topic, a setting or a command: it is in a folder, or has a file's ending.
FILE = re.compile(r"[\w.*-]+(/[\w.*-]*)+|[\w*-]+\.(md|py|sh|toml|ya?ml)")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(text: str) -> set[str]:
    """What a page's headings are called in a link, as the hosting site makes it of them."""
    found: Counter[str] = Counter()
    names = set()
    for heading in HEADING.findall(FENCED.sub("", text)):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        names.add(f"{name}-{found[name]}" if found[name] else name)
        found[name] += 1
    return names


def broken(page: Path, text: str) -> Iterator[str]:
    """The links of a page that lead nowhere in this repository."""
    for link in LINK.findall(FENCED.sub("", text)):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = page.parent / target
        there = anchors(file.read_text("utf-8") if target else text) if anchor else set()
        if not file.exists() or (anchor and anchor not in there):
            yield link


def every_test() -> set[str]:
    """The names of all tests."""
    return {
        node.name
        for file in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def code(name: str) -> set[str]:
    return set(CODE.findall(FENCED.sub("", (ROOT / name).read_text("utf-8"))))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert not list(broken(page, page.read_text("utf-8")))


@pytest.mark.parametrize(
    ("link", "leads"),
    [
        ("LICENSE", True),
        ("docs/door.md#may-it-be-released", True),
        ("docs/commands.md#what-this-protects-and-what-it-does-not", True),
        ("https://example.org/none", True),
        ("#here-it-is-2-x", True),
        ("LICENCE", False),
        ("docs/door.md#may-it-be", False),
        ("#nowhere", False),
    ],
)
def test_a_link_that_leads_nowhere_is_noticed(link: str, leads: bool) -> None:
    page = f"# Here: it is (2) `x`\n\n[one]({link})\n"
    assert list(broken(ROOT / "README.md", page)) == ([] if leads else [link])


def test_every_page_has_its_place_in_the_site() -> None:
    _, _, places = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")
    named = re.findall(r"- (\S+\.md)$", places, re.M)
    assert sorted(named) == sorted(map(name_of, PAGES))


@pytest.mark.parametrize("name", PROMISES)
def test_every_test_that_is_named_exists(name: str) -> None:
    named = {one for one in code(name) if one.startswith("test_") and "." not in one}
    assert not named - every_test()


def test_what_an_attacker_cannot_do_is_shown_by_tests() -> None:
    assert len(code("SECURITY.md") & every_test()) > 50


@pytest.mark.parametrize("name", PROMISES)
def test_every_file_that_is_named_exists(name: str) -> None:
    named = {one for one in code(name) if FILE.fullmatch(one)}
    assert named
    assert not [one for one in named if not list(ROOT.glob(one.rstrip("/")))]


def test_the_newest_entry_of_the_changelog_is_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    dated = re.findall(
        r"^## \[(\S+)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.M
    )
    assert dated[0] == project["version"]


def test_what_runs_at_each_push_is_what_ci_run_runs() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text("utf-8"))
    (job,) = workflow["jobs"].values()
    runs = [step["run"] for step in job["steps"] if "run" in step]
    assert (ROOT / ".ci/run").read_text("utf-8").splitlines()[-1] == f"exec {runs[-1]}"
    assert workflow["permissions"] == {"contents": "read"}


@pytest.mark.parametrize(
    ("name", "content", "mistake"),
    [
        ("good.py", b"x = 1\n", None),
        ("ends.md", b"one \n", "white space"),
        ("ends.yaml", b"a: 1", "line feed"),
        ("windows.md", b"one\r\n", "white space"),
        ("bad.yaml", b"a: [1\n", "cannot be read"),
        ("tagged.yaml", b"a: !input door\n", None),
        ("bad.toml", b"a =\n", "cannot be read"),
        ("bad.json", b"{'a': 1}\n", "cannot be read"),
        ("large.bin", b"\0" * 200_001, "200001 bytes"),
        ("models/large.tflite", b"\0" * 200_001, None),
        ("unknown.JPG", b"\0", "terms"),
        ("people/known.jpg", b"\0", None),
        ("people/unknown.jpg", b"\0", "terms"),
        ("people/deeper/one.png", b"\0", None),
    ],
)
def test_what_no_file_here_may_be_is_told(
    name: str, content: bytes, mistake: str | None, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    (tmp_path / "people").mkdir(exist_ok=True)
    (tmp_path / "people/ATTRIBUTION.md").write_text("| `known.jpg` | `deeper/*.png` |\n")
    found = "\n".join(mistakes(name, tmp_path))
    assert (mistake in found) if mistake else not found
