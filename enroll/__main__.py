"""`python -m enroll`: the command `lockd-enroll`, for the service."""

from __future__ import annotations

from enroll.cli import main

if __name__ == "__main__":
    main(prog_name="lockd-enroll")
