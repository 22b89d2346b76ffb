"""What the emulated machine's trials type stands in the documents, as administrators read them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

VM = ROOT / "tests" / "vm"
TRIALS = (VM / "broker_trials.py").read_text()
TYPED = [
    *re.findall(r'(block|fenced)\(DOCS / "([\w.-]+)", "([^"]+)"', TRIALS),
    *(("fenced", "subscribers.md", words) for words in re.findall(r'bers\("([^"]+)"', TRIALS)),
]


@pytest.fixture(autouse=True)
def vm(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the machine its files are in one folder, and belong to no package."""
    monkeypatch.syspath_prepend(VM)
    monkeypatch.delitem(sys.modules, "steps", raising=False)


def test_the_trials_take_what_they_type_from_several_documents() -> None:
    documents = {document for _, document, _ in TYPED}
    assert documents == {"broker.md", "commands.md", "installing.md", "subscribers.md"}


@pytest.mark.parametrize(("how", "document", "words"), TYPED)
def test_what_is_typed_is_in_the_document(how: str, document: str, words: str) -> None:
    import steps

    assert getattr(steps, how)(ROOT / "docs" / document, words).strip()


def test_a_block_ends_where_its_lines_do(tmp_path: Path) -> None:
    from steps import block

    page = tmp_path / "page.md"
    page.write_text(
        "1. Do this:\n   it helps\n\n        one \\\n            more\n        two\n\n   no\n"
    )
    assert block(page, "Do this", 8) == "one \\\n    more\ntwo\n"
    with pytest.raises(AssertionError, match="does not say 'Do that'"):
        block(page, "Do that")
