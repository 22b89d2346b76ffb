"""Command line of the model build; `run.sh` sets up its environment and calls it."""

import argparse
import logging
import sys
from pathlib import Path

from .photos import ROOT
from .rebuild import ADDED, add, check, rebuild, write
from .sources import SourceError
from .verify import verify

MODELS = ROOT / "models"
CACHE = ROOT / ".venv-models" / "cache"


def parser() -> argparse.ArgumentParser:
    """The options. Without any: --check."""
    options = argparse.ArgumentParser(prog="models/build/run.sh", description=__doc__)
    task = options.add_mutually_exclusive_group()
    task.add_argument("--check", action="store_true", help="rebuild and compare (the default)")
    task.add_argument("--write", action="store_true", help="rebuild and replace the files")
    task.add_argument("--references", action="store_true", help="store answers for the tests")
    task.add_argument("--parity", action="store_true", help="compare with the original networks")
    task.add_argument(
        "--liveness",
        type=Path,
        nargs="+",
        metavar="FILE.pth",
        help="add published networks that tell live faces from attacks",
    )
    task.add_argument(
        "--centres", action="store_true", help="measure what faces share; needs --photos"
    )
    task.add_argument("--study", action="store_true", help="compare precisions; needs --photos")
    options.add_argument("--photos", type=Path, help="a folder of photographs, one per person")
    options.add_argument("--cache", type=Path, default=CACHE, help="where downloads are kept")
    return options


def rebuild_and(options: argparse.Namespace) -> list[str]:
    """Verify, rebuild, then write or check. What is wrong comes back as lines."""
    problems = verify(options.cache)
    files = rebuild(options.cache)
    if not options.write:
        return problems + check(MODELS, files)
    if not problems:
        write(MODELS, files)
        print(f"wrote {len(files)} networks and their manifest to {MODELS}")
    return problems


def add_to_the_door(options: argparse.Namespace) -> list[str]:
    """--liveness. What is wrong comes back as lines."""
    try:
        files = add(MODELS, options.cache, options.liveness)
    except (OSError, SourceError) as error:
        return [str(error)]
    print(f"{', '.join(files)}: written to {MODELS} and listed in {ADDED}")
    return []


def compare(options: argparse.Namespace) -> None:
    """--parity, --study and --centres: they need the door's own code."""
    from lockd.vision.models import Models  # noqa: PLC0415  the build itself must not need lockd

    from .parity import parity  # noqa: PLC0415
    from .study import study  # noqa: PLC0415

    if options.parity:
        parity(options.cache, Models.load(MODELS), options.photos)
    elif options.centres:
        from .centres import write as write_centres  # noqa: PLC0415
        from .networks import CENTRES_FILE  # noqa: PLC0415

        write_centres(options.photos, CENTRES_FILE)
    else:
        study(options.cache, options.photos)


def main() -> int:
    """Do what the options say; the exit status is 1 if something does not agree."""
    command = parser()
    options = command.parse_args()
    logging.getLogger("absl").setLevel(logging.ERROR)  # the converter warns of what we rely on
    options.cache.mkdir(parents=True, exist_ok=True)
    if (options.study or options.centres) and options.photos is None:
        command.error("--study and --centres need --photos DIR")
    problems: list[str] = []
    if options.references:
        from .references import store  # noqa: PLC0415

        store(options.cache)
    elif options.parity or options.study or options.centres:
        compare(options)
    elif options.liveness:
        problems = add_to_the_door(options)
    else:
        problems = rebuild_and(options)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
