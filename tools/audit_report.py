"""Says what pip-audit found, of its JSON on standard input; see tools/audit.sh."""

from __future__ import annotations

import json
import sys
from typing import Any

LEAST_LOOKED_AT = 0.9
"""Of all versions; a list that knows fewer does not answer, and its silence says nothing."""


def report(found: dict[str, Any]) -> tuple[list[str], int]:
    """Return what to print, and the exit code."""
    skipped = [one["name"] for one in found["dependencies"] if "skip_reason" in one]
    looked_at = [one for one in found["dependencies"] if "skip_reason" not in one]
    lines = [
        f"{one['name']} {one['version']}: {weakness['id']}, mended in "
        f"{', '.join(weakness['fix_versions']) or 'no version'}"
        for one in looked_at
        for weakness in one["vulns"]
    ]
    code = int(bool(lines))
    if skipped:
        lines.append(f"not in the list, so not looked at: {', '.join(skipped)}")
    lines.append(f"{len(looked_at)} of {len(found['dependencies'])} versions were looked at")
    if len(looked_at) < LEAST_LOOKED_AT * len(found["dependencies"]) or not looked_at:
        lines.append("audit: that says nothing; is the list to be reached from here?")
        code = code or 2
    return lines, code


def main() -> int:
    """Report."""
    try:
        found = json.load(sys.stdin)
    except ValueError:
        print("audit: pip-audit said nothing; call it by hand", file=sys.stderr)
        return 2
    lines, code = report(found)
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
