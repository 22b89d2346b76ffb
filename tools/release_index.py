"""Adds what is in dist/ to the list of releases, and signs it; `tools/release.sh` calls it.

    python tools/release_index.py VERSION DATE KEY [LIST]

KEY is the private Ed25519 key (`openssl genpkey -algorithm ed25519`), LIST the list of before.
"""

from __future__ import annotations

import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from lockd.commands.update.index import Index, sign

DIST = Path("dist")


def main(version: str, date: str, key: str, before: str | None = None) -> None:
    files = [
        {
            "name": file.name,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "bytes": file.stat().st_size,
        }
        for file in sorted(DIST.iterdir())
        if not file.name.startswith(("index.json", "SHA256SUMS"))
    ]
    known = json.loads(Path(before).read_text("utf-8"))["releases"] if before else []
    listed = {
        "schema": 1,
        "made_utc": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "releases": [
            {"version": version, "date": date, "files": files},
            *(one for one in known if one["version"] != version),
        ],
    }
    content = (json.dumps(listed, indent=1) + "\n").encode()
    Index.model_validate_json(content)
    (DIST / "index.json").write_bytes(content)
    (DIST / "index.json.sig").write_bytes(sign(content, Path(key).read_bytes()))


if __name__ == "__main__":
    main(*sys.argv[1:])
