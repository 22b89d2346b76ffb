"""The entry of the command `lockd`, which must not keep `relay-safe` waiting."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] == ["relay-safe"]:
        from lockd.service import relay_safe  # noqa: PLC0415

        if relay_safe.main(sys.argv[2:]):
            return
    from lockd.commands.main import main as full  # noqa: PLC0415  # takes its time

    full()


if __name__ == "__main__":
    main()
