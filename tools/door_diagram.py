"""Write the door's transition table and its diagram into docs/door.md, from the code.

python tools/door_diagram.py
"""

from __future__ import annotations

from pathlib import Path

from lockd.door.transitions import TABLE

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "door.md"
BEGIN, END = "<!-- from lockd/door/transitions.py -->", "<!-- end -->"


def words(name: str) -> str:
    """Names as people write them."""
    return name.replace("_", " ")


def diagram() -> str:
    """Return the table as a Mermaid state diagram; what stays in its state is left out."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> LOCKED"]
    for row in TABLE:
        if row.next is not row.state:
            condition = f" [{words(row.condition)}]" if row.condition else ""
            line = f"    {row.state.name} --> {row.next.name}: {words(row.event)}{condition}"
            lines.append(line)
    return "\n".join([*lines, "```"])


def table() -> str:
    """Return the table in Markdown."""
    lines = ["| state | event | if | next | does |", "|---|---|---|---|---|"]
    for row in TABLE:
        does = ", ".join(words(action) for action in row.actions.split())
        cells = [row.state.name, words(row.event), words(row.condition), row.next.name, does]
        lines.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    return "\n".join(lines)


def written(text: str) -> str:
    """Return a document with the diagram and the table in their place."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{diagram()}\n\n{table()}\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text("utf-8")), "utf-8")
