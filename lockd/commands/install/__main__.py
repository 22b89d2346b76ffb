"""`python3 -m lockd.commands.install`: the first installation, out of a bare checkout."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lockd.commands.install.steps import CONFIG, install
from lockd.commands.install.system import System
from lockd.errors import InstallError


def main() -> None:
    """Install, and say what comes next."""
    parser = argparse.ArgumentParser(prog="tools/install.sh", description="Install lockd here.")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    parser.add_argument("--wheels", type=Path, help="folder of wheels, instead of the network")
    parser.add_argument("--console", action="store_true", help="pages for a browser, too")
    asked = parser.parse_args()
    try:
        install(System(dry_run=asked.dry_run), asked.wheels, with_console=asked.console)
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    print(
        f"\nNext: edit {CONFIG}, then\n"
        "  sudo lockd doctor\n"
        '  sudo lockd-enroll add "Ada Lovelace" ada1.jpg ada2.jpg ada3.jpg\n'
        "  sudo systemctl start lockd"
    )


if __name__ == "__main__":
    main()
